// SPDX-License-Identifier: GPL-2.0-only
//
// The device's side of a split virtqueue (virtio 1.2, 2.7), with indirect descriptors and
// VIRTIO_F_EVENT_IDX. It knows guest memory and nothing else: no device, no transport, no eventfd.
// A transport creates it once the driver has set it up; the device then owns it and calls it under
// the device's own mutex, on any thread. Everything the guest wrote is read once and checked;
// walks are bounded by the queue size; the guest's mistakes come back as Fault values.
#pragma once

#include <cstdint>
#include <variant>

#include "memory/guest_address.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/queue/chain.hpp"
#include "virtio/queue/fault.hpp"

namespace vmm::virtio {

// All there is to a queue; restoring from it continues where state() was taken.
struct QueueState {
  uint16_t size = 0;
  memory::GuestAddress descriptors;
  memory::GuestAddress available;
  memory::GuestAddress used;
  bool indirect = false;        // VIRTIO_RING_F_INDIRECT_DESC was negotiated
  bool event_index = false;     // VIRTIO_RING_F_EVENT_IDX was negotiated
  uint16_t next_available = 0;  // index of the next available entry to take
  uint16_t next_used = 0;       // index of the next used entry to fill
  uint16_t signalled_used = 0;  // next_used when the driver was last interrupted

  bool operator==(const QueueState&) const = default;
};

struct NoChain {};

class Queue {
 public:
  using Popped = std::variant<NoChain, Chain, Fault>;

  // Checks size, alignment and place of the three parts. `state` is either fresh (indices zero)
  // or what an earlier queue's state() returned.
  static std::variant<Queue, Fault> create(memory::GuestMemory& memory, const QueueState& state,
                                           uint16_t max_size);

  // The next chain. NoChain promises that the driver will notify when it adds one. After a Fault
  // the queue is unusable: drop it.
  Popped pop();

  // Whether pop() has something to return; leaves the driver's notifications as they are.
  bool has_available() const;

  // Returns `chain` to the driver. `written_bytes` counts from the first writable byte.
  void push_used(Chain&& chain, uint32_t written_bytes);

  // Undoes the pop() of `chain`, which was the latest one; the next pop() walks it anew.
  void put_back(Chain&& chain);

  // Whether the driver wants an interrupt for what was pushed since the last call that said so.
  bool needs_interrupt();

  uint16_t size() const { return state_.size; }
  uint16_t in_flight() const { return in_flight_; }

  // For a snapshot; chains that are out are lost to it, so take it when in_flight() is zero.
  QueueState state() const { return state_; }

 private:
  Queue(memory::GuestMemory& memory, const QueueState& state) : memory_(&memory), state_(state) {}

  std::variant<uint16_t, Fault> available_count() const;
  void request_notification();
  Popped take_next();
  memory::GuestAddress available_entry(uint16_t index) const;
  memory::GuestAddress used_entry(uint16_t index) const;

  memory::GuestMemory* memory_;
  QueueState state_;
  uint16_t in_flight_ = 0;
};

}  // namespace vmm::virtio
