// SPDX-License-Identifier: GPL-2.0-only
//
// The hardware address of a network interface, as its configuration writes it.
#pragma once

#include <cstddef>
#include <string>

#include "virtio/device/net_control.hpp"

namespace vmm::machine {

// The address in `text`, or, when that is empty, one of our own for interface `number`: the same
// each time, and marked as locally administered. Throws base::ConfigError.
virtio::MacAddress mac_address(const std::string& text, size_t number);

}  // namespace vmm::machine
