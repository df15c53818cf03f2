// SPDX-License-Identifier: GPL-2.0-only
//
// The device's side of a virtqueue, split (virtio 1.2, 2.7) or packed (2.8), with one interface, so
// that no device knows which ring its driver chose. It depends only on guest memory: not on
// devices, transports or eventfds. A transport creates it once the driver has set it up; the device
// then owns it and calls it under the device's own mutex, on any thread. Everything the guest wrote
// is read once and checked; walks are bounded by the queue size; the guest's mistakes are returned
// as Fault values.
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

  // Checks size, alignment and addresses of the three parts. `state` is either new (with default
  // positions) or the result of an earlier queue's state().
  static std::variant<Queue, Fault> create(memory::GuestMemory& memory, const QueueState& state,
                                           uint16_t max_size);

  // The next chain. NoChain promises that the driver will notify when it adds one. After a Fault
  // the queue is unusable: drop it.
  Popped pop();

  // Whether pop() has a chain to return; does not change the driver's notifications.
  bool has_available() const;

  // Returns `chain` to the driver. `written_bytes` counts from the first writable byte.
  void push_used(Chain&& chain, uint32_t written_bytes);

  // Returns several at once: the driver sees all of them or none, in this order. For data that
  // spans several buffers, such as a network frame (virtio 1.2, 5.1.6.4).
  void push_used(std::vector<UsedChain>&& chains);

  // Undoes the latest pop(), which returned `chain`; the next pop() walks it again.
  void put_back(Chain&& chain);

  // Whether the driver wants an interrupt for chains pushed since this last returned true.
  bool needs_interrupt();

  uint16_t size() const { return state().size; }
  uint16_t in_flight() const;

  // For a snapshot; take it when in_flight() is zero, as it would lose chains in flight.
  const QueueState& state() const;

 private:
  using Ring = std::variant<SplitRing, PackedRing>;
  explicit Queue(Ring ring) : ring_(ring) {}

  Ring ring_;
};

}  // namespace vmm::virtio
