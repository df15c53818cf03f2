// SPDX-License-Identifier: GPL-2.0-only
//
// From a share's configuration to its device. Called by Machine while it is set up.
#pragma once

#include <memory>

#include "machine/config/config.hpp"
#include "virtio/device.hpp"

namespace vmm::machine {

// Throws base::ConfigError with the path and the hint.
std::unique_ptr<virtio::Device> open_share(const ShareConfig& share);

}  // namespace vmm::machine
