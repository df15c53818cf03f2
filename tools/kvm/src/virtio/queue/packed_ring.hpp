// SPDX-License-Identifier: GPL-2.0-only
//
// A packed virtqueue (virtio 1.2, 2.8): one ring of descriptors that driver and device both write,
// distinguished by a wrap counter of each. Queue holds one, forwards to it and documents each
// method. A chain lies in consecutive slots, or in an indirect table; its used entry goes to the
// next used slot, which is seldom the chain's own.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "memory/guest_memory.hpp"
#include "virtio/queue/chain.hpp"
#include "virtio/queue/fault.hpp"
#include "virtio/queue/state.hpp"

struct vring_packed_desc;

namespace vmm::virtio {

class ChainBuilder;

class PackedRing {
 public:
  static std::optional<Fault> check(const memory::GuestMemory& memory, const QueueState& state,
                                    uint16_t max_size);

  // `state` has passed check().
  PackedRing(memory::GuestMemory& memory, const QueueState& state)
      : memory_(&memory), state_(state) {}

  Popped pop();
  bool has_available() const;
  void push_used(Chain&& chain, uint32_t written_bytes);
  void push_used(std::vector<UsedChain>&& chains);
  void put_back(Chain&& chain);
  bool needs_interrupt();

  uint16_t in_flight() const { return in_flight_; }
  const QueueState& state() const { return state_; }

 private:
  // A filled entry, which counts as used once the driver sees these flags.
  struct Filled {
    memory::GuestAddress flags_at;
    uint16_t flags;
  };

  Filled fill_used(Chain&& chain, uint32_t written_bytes);
  void publish(Filled entry);
  void request_notification();
  Popped take_next();
  std::optional<Fault> add_indirect(ChainBuilder& builder,
                                    const vring_packed_desc& descriptor) const;
  memory::GuestAddress slot(uint32_t index) const;

  memory::GuestMemory* memory_;
  QueueState state_;
  uint16_t in_flight_ = 0;
  uint32_t slots_in_flight_ = 0;
};

}  // namespace vmm::virtio
