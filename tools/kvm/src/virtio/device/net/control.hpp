// SPDX-License-Identifier: GPL-2.0-only
//
// The commands of a network device's control queue (virtio 1.2, 5.1.6.5): checks a command and
// changes the settings it concerns. Net calls it under its mutex, for each chain, and then applies
// the settings. A device may ignore a driver's filters for received frames (5.1.6.5.1), so those
// commands are only checked.
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

// The features for offloads that a driver accepts in received frames.
uint64_t net_receive_offloads();

// Returns VIRTIO_NET_OK, or VIRTIO_NET_ERR with the settings unchanged.
uint8_t serve_net_command(std::span<const iovec> command, const NetLimits& limits,
                          NetSettings& settings);

}  // namespace vmm::virtio
