// SPDX-License-Identifier: GPL-2.0-only
//
// Makes a network device from its configuration: opens the backend and creates a virtio device on
// top. Called by machine/ while a machine is set up, on the caller's thread.
#pragma once

#include <cstddef>
#include <memory>

#include "base/event_loop.hpp"
#include "machine/config/config.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/device/net/net.hpp"

namespace vmm::machine {

// `loop` and `memory` outlive the device. Throws base::ConfigError when the backend is not
// available.
std::unique_ptr<virtio::Net> make_net(base::EventLoop& loop, const memory::GuestMemory& memory,
                                      const NetConfig& config, size_t number);

// Makes a vsock device, under the same conditions.
std::unique_ptr<virtio::Device> make_vsock(base::EventLoop& loop, const memory::GuestMemory& memory,
                                           const VsockConfig& config);

}  // namespace vmm::machine
