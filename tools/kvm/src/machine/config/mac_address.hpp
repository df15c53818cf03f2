// SPDX-License-Identifier: GPL-2.0-only
//
// Parses the hardware address in a network interface's configuration.
#pragma once

#include <cstddef>
#include <string>

#include "virtio/device/net/control.hpp"

namespace vmm::machine {

// The address in `text` or, if that is empty, a fixed one for interface `number`, marked as locally
// administered. Throws base::ConfigError.
virtio::MacAddress mac_address(const std::string& text, size_t number);

}  // namespace vmm::machine
