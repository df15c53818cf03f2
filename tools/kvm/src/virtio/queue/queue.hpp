// SPDX-License-Identifier: GPL-2.0-only
//
// The device's side of a virtqueue, split (virtio 1.2, 2.7) or packed (2.8): one door for both, so
// that no device knows which ring its driver chose. It knows guest memory and nothing else: no
// device, no transport, no eventfd. A transport creates it once the driver has set it up; the
// device then owns it and calls it under the device's own mutex, on any thread. Everything the
// guest wrote is read once and checked; walks are bounded by the queue size; the guest's mistakes
// come back as Fault values.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "memory/guest_memory.hpp"
#include "virtio/queue/chain.hpp"
#include "virtio/queue/fault.hpp"
#include "virtio/queue/packed_ring.hpp"
#include "virtio/queue/split_ring.hpp"
#include "virtio/queue/state.hpp"

namespace vmm::virtio {

class Queue {
 public:
  using Popped = virtio::Popped;

  // Checks size, alignment and place of the three parts. `state` is either fresh (positions as
  // they are by default) or what an earlier queue's state() returned.
  static std::variant<Queue, Fault> create(memory::GuestMemory& memory, const QueueState& state,
                                           uint16_t max_size);

  // The next chain. NoChain promises that the driver will notify when it adds one. After a Fault
  // the queue is unusable: drop it.
  Popped pop();

  // Whether pop() has something to return; leaves the driver's notifications as they are.
  bool has_available() const;

  // Returns `chain` to the driver. `written_bytes` counts from the first writable byte.
  void push_used(Chain&& chain, uint32_t written_bytes);

  // Returns several at once: the driver sees all of them or none, in this order. For what spans
  // more than one buffer, as a network frame may (virtio 1.2, 5.1.6.4).
  void push_used(std::vector<UsedChain>&& chains);

  // Undoes the pop() of `chain`, which was the latest one; the next pop() walks it anew.
  void put_back(Chain&& chain);

  // Whether the driver wants an interrupt for what was pushed since the last call that said so.
  bool needs_interrupt();

  uint16_t size() const { return state().size; }
  uint16_t in_flight() const;

  // For a snapshot; chains that are out are lost to it, so take it when in_flight() is zero.
  const QueueState& state() const;

 private:
  using Ring = std::variant<SplitRing, PackedRing>;
  explicit Queue(Ring ring) : ring_(ring) {}

  Ring ring_;
};

}  // namespace vmm::virtio
