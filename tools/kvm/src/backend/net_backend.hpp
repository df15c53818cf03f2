// SPDX-License-Identifier: GPL-2.0-only
//
// Where a net device's frames go and come from. virtio::Net owns one and makes every call but
// start() and stop() under its mutex, on vCPU threads and on whatever thread calls `ready`. A
// frame that can't be carried is lost, as on a wire; only opening throws. The header in front of
// a frame is virtio's own (virtio 1.2, 5.1.6), which tap devices speak too.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "backend/virtio_net_abi.hpp"

namespace vmm::backend {

using NetHeader = virtio_net_hdr_v1;

// An IP packet, and its Ethernet header with a VLAN tag.
inline constexpr size_t kMaxFrameBytes = 65535 + 18;
inline constexpr size_t kMinFrameBytes = 14;

// What frames may be left undone by their sender: fields of the header tell what.
struct NetOffloads {
  bool checksum = false;  // NEEDS_CSUM and DATA_VALID; the others need this one
  bool tso4 = false;
  bool tso6 = false;
  bool ecn = false;

  bool operator==(const NetOffloads&) const = default;
};

struct NetTraits {
  uint16_t max_queue_pairs = 1;
  NetOffloads send;     // what send() can finish
  NetOffloads receive;  // what peek() may return, once set_offloads() has allowed it
  uint16_t mtu = 0;     // for the guest; 0: its own choice
};

enum class Sent {
  kTaken,  // or lost for good
  kFull,   // not taken: `ready` is called when it is worth another try
};

class NetBackend {
 public:
  using Ready = std::function<void(uint16_t pair)>;

  virtual ~NetBackend() = default;

  virtual NetTraits traits() const = 0;

  // From here on `ready` is called, on a thread of the backend's, when there may be something to
  // receive, or room to send again, on a queue pair. Not after stop() has returned; hold no lock
  // that `ready` takes when calling that.
  virtual void start(Ready ready) = 0;
  virtual void stop() = 0;

  // What the guest takes of traits().receive.
  virtual void set_offloads(const NetOffloads& allowed) = 0;
  // The first `count` pairs are in use, the others get no frames.
  virtual void set_queue_pairs(uint16_t count) = 0;

  // The bytes of `frame` belong to a guest, who may change them meanwhile.
  virtual Sent send(uint16_t pair, const NetHeader& header, std::span<const iovec> frame) = 0;

  // The next frame for the guest, a NetHeader in front of it (num_buffers is anything); empty when
  // there is none. It stays the next one until consume().
  virtual std::span<const std::byte> peek(uint16_t pair) = 0;
  virtual void consume(uint16_t pair) = 0;
};

}  // namespace vmm::backend
