// SPDX-License-Identifier: GPL-2.0-only
//
// Collects the buffers of one chain, each checked and mapped when it is added, by the rules common
// to split and packed queues. Internal to the rings; a value used inside one pop().
#pragma once

#include <cstdint>
#include <optional>

#include "memory/guest_memory.hpp"
#include "virtio/queue/chain.hpp"
#include "virtio/queue/fault.hpp"

namespace vmm::virtio {

class ChainBuilder {
 public:
  // A chain has at most `max_buffers`, which is the size of its queue.
  ChainBuilder(const memory::GuestMemory& memory, uint16_t max_buffers)
      : memory_(memory), max_buffers_(max_buffers), chain_(0) {}

  std::optional<Fault> add(memory::GuestAddress address, uint32_t length, bool writable);

  // May be called once; the builder is empty afterwards.
  Chain finish(uint16_t head, uint16_t slots);

 private:
  const memory::GuestMemory& memory_;
  const uint16_t max_buffers_;
  Chain chain_;
};

}  // namespace vmm::virtio
