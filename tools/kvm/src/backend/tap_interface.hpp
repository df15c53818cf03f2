// SPDX-License-Identifier: GPL-2.0-only
//
// Opening a tap interface and giving it an address: the network set-up that Tap needs on the host.
// Called while a machine is made; every failure is a base::ConfigError with a hint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace vmm::backend {

// Returns one file per queue pair, non-blocking, with IFF_VNET_HDR.
std::vector<base::UniqueFd> open_tap(const std::string& name, uint16_t queue_pairs);

// The interface and features of a tap's file. Throws when it is no tap, or lacks a feature that Tap
// needs.
struct TapIdentity {
  std::string name;
  bool multi_queue;
};
TapIdentity identify_tap(int file);

// Brings the interface up, if it is not and this process is permitted to.
void bring_up(const std::string& name);

// `address` has the form 192.168.7.1/24.
void set_address(const std::string& name, const std::string& address);

}  // namespace vmm::backend
