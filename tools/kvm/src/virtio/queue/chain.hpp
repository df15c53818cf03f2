// SPDX-License-Identifier: GPL-2.0-only
//
// One descriptor chain, validated and mapped: the buffers that the device may read, then those that
// it may write, as host iovecs. Queue::pop() makes it, a device uses it, and returns it to the same
// queue exactly once, with push_used() or put_back(). Move-only, so that no copy can be returned
// twice. The bytes behind the iovecs still belong to the guest, which may change them at any time;
// only their addresses and lengths are fixed.
#pragma once

#include <sys/uio.h>

#include <cassert>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "virtio/queue/fault.hpp"

namespace vmm::virtio {

class Chain {
 public:
  Chain(Chain&& other) noexcept
      : head_(other.head_),
        slots_(other.slots_),
        readable_count_(other.readable_count_),
        readable_bytes_(other.readable_bytes_),
        writable_bytes_(other.writable_bytes_),
        buffers_(std::move(other.buffers_)),
        owned_(std::exchange(other.owned_, false)) {}
  Chain& operator=(Chain&&) = delete;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // The chain's id in the used ring: its first descriptor's index, or a packed queue's buffer id.
  // The driver chooses it, so it may not be unique among chains in flight.
  uint16_t head() const { return head_; }
  std::span<const iovec> readable() const { return all().first(readable_count_); }
  std::span<const iovec> writable() const { return all().subspan(readable_count_); }

  // Each is less than 2^32, as the used ring counts in 32 bits.
  uint32_t readable_bytes() const { return readable_bytes_; }
  uint32_t writable_bytes() const { return writable_bytes_; }

 private:
  friend class ChainBuilder;
  friend class PackedRing;
  friend class SplitRing;
  explicit Chain(uint16_t head) : head_(head) {}

  std::span<const iovec> all() const {
    assert(owned_);
    return buffers_;
  }

  uint16_t head_;
  uint16_t slots_ = 1;  // ring entries that it occupies
  uint16_t readable_count_ = 0;
  uint32_t readable_bytes_ = 0;
  uint32_t writable_bytes_ = 0;
  std::vector<iovec> buffers_;
  bool owned_ = true;
};

// A chain to return, and the number of bytes that the device wrote.
struct UsedChain {
  Chain chain;
  uint32_t written_bytes;
};

struct NoChain {};

using Popped = std::variant<NoChain, Chain, Fault>;

}  // namespace vmm::virtio
