// SPDX-License-Identifier: GPL-2.0-only
//
// Makes a share's device from its configuration. Called by Machine while it is set up.
#pragma once

#include <memory>

#include "machine/config/config.hpp"
#include "virtio/device.hpp"

namespace vmm::machine {

// Throws a base::ConfigError with the path and a hint.
std::unique_ptr<virtio::Device> open_share(const ShareConfig& share);

}  // namespace vmm::machine
