// SPDX-License-Identifier: GPL-2.0-only
//
// The network behind a net device. virtio::Net owns one and makes every call but start() and stop()
// under its mutex, on vCPU threads and on the thread that calls `ready`. A frame that can't be
// carried is lost, as on a wire; only opening throws. The header in front of a frame is virtio's
// (virtio 1.2, 5.1.6), which tap devices use too.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "backend/virtio_net_abi.hpp"

namespace vmm::backend {

using NetHeader = virtio_net_hdr_v1;

// The largest IP packet, with an Ethernet header and a VLAN tag.
inline constexpr size_t kMaxFrameBytes = 65535 + 18;
inline constexpr size_t kMinFrameBytes = 14;

// Work that a frame's sender may leave to the receiver; fields of the header say which.
struct NetOffloads {
  bool checksum = false;  // NEEDS_CSUM and DATA_VALID; required by the others
  bool tso4 = false;
  bool tso6 = false;
  bool ecn = false;

  bool operator==(const NetOffloads&) const = default;
};

struct NetTraits {
  uint16_t max_queue_pairs = 1;
  NetOffloads send;     // what send() can finish
  NetOffloads receive;  // what peek() may return, once set_offloads() has allowed it
  uint16_t mtu = 0;     // for the guest; 0: the guest chooses
};

enum class Sent {
  kTaken,  // sent, or lost for good
  kFull,   // not taken: `ready` will be called when a retry makes sense
};

class NetBackend {
 public:
  using Ready = std::function<void(uint16_t pair)>;

  virtual ~NetBackend() = default;

  virtual NetTraits traits() const = 0;

  // From here on the backend calls `ready` on one of its threads when a queue pair may have
  // something to receive, or room to send again. It does not do so after stop() has returned; hold
  // no lock that `ready` takes when calling stop().
  virtual void start(Ready ready) = 0;
  virtual void stop() = 0;

  // The part of traits().receive that the guest accepts.
  virtual void set_offloads(const NetOffloads& allowed) = 0;
  // The first `count` pairs are in use; the others get no frames.
  virtual void set_queue_pairs(uint16_t count) = 0;

  // The guest owns the bytes of `frame` and may change them meanwhile.
  virtual Sent send(uint16_t pair, const NetHeader& header, std::span<const iovec> frame) = 0;

  // The next frame for the guest, after a NetHeader (whose num_buffers is undefined); empty when
  // there is none. It stays the next one until consume().
  virtual std::span<const std::byte> peek(uint16_t pair) = 0;
  virtual void consume(uint16_t pair) = 0;
};

}  // namespace vmm::backend
