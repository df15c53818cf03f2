// SPDX-License-Identifier: GPL-2.0-only
//
// The commands of a network device's control queue (virtio 1.2, 5.1.6.5): checks one and changes
// the settings it is about. Net calls it under its mutex, for each chain, and then does what the
// settings say. Which frames a driver wants to see is a wish that a device may leave unheeded
// (5.1.6.5.1), so those commands are checked and nothing more.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>

namespace vmm::virtio {

using MacAddress = std::array<uint8_t, 6>;

struct NetSettings {
  MacAddress mac{};
  uint16_t queue_pairs = 1;
  uint64_t receive_offloads = 0;  // bits of VIRTIO_NET_F_GUEST_*

  bool operator==(const NetSettings&) const = default;
};

struct NetLimits {
  uint64_t features;  // as negotiated
  uint16_t max_queue_pairs;
};

// The features that say which offloads the driver takes in frames it receives.
uint64_t net_receive_offloads();

// VIRTIO_NET_OK, or VIRTIO_NET_ERR with the settings as they were.
uint8_t serve_net_command(std::span<const iovec> command, const NetLimits& limits,
                          NetSettings& settings);

}  // namespace vmm::virtio
