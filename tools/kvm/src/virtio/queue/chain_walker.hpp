// SPDX-License-Identifier: GPL-2.0-only
//
// Follows one descriptor chain of a split queue through the table, and through an indirect table if
// there is one, and checks every step (virtio 1.2, 2.7.5). Internal to SplitRing, called from
// pop(). It visits at most as many descriptors as the queue has, so a loop ends as a fault.
#pragma once

#include <cstdint>
#include <variant>

#include "memory/guest_memory.hpp"
#include "virtio/queue/chain.hpp"
#include "virtio/queue/fault.hpp"

struct vring_desc;

namespace vmm::virtio {

struct QueueState;

class ChainWalker {
 public:
  ChainWalker(const memory::GuestMemory& memory, const QueueState& queue)
      : memory_(memory), queue_(queue) {}

  // `head` is less than the queue size.
  std::variant<Chain, Fault> walk(uint16_t head) const;

 private:
  struct Table {
    memory::GuestAddress start;
    uint32_t length;
    bool indirect;
  };

  std::variant<vring_desc, Fault> read(const Table& table, uint32_t index) const;
  std::variant<Table, Fault> enter(const Table& from, const vring_desc& descriptor) const;

  const memory::GuestMemory& memory_;
  const QueueState& queue_;
};

}  // namespace vmm::virtio
