// SPDX-License-Identifier: GPL-2.0-only
//
// Opening a tap interface and giving it an address: what Tap needs of the host's network set-up.
// Called while a machine is made; every failure is a base::ConfigError that says what to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace vmm::backend {

// One file per queue pair, non-blocking, with IFF_VNET_HDR.
std::vector<base::UniqueFd> open_tap(const std::string& name, uint16_t queue_pairs);

// Who and what a tap's file is. Throws when it is none, or lacks what Tap needs.
struct TapIdentity {
  std::string name;
  bool multi_queue;
};
TapIdentity identify_tap(int file);

// Sets the interface up, if it is not; without permission for that it stays as it is.
void bring_up(const std::string& name);

// `address` is like 192.168.7.1/24.
void set_address(const std::string& name, const std::string& address);

}  // namespace vmm::backend
