// SPDX-License-Identifier: GPL-2.0-only
//
// The queues of an active device with its interrupt and its backlog; shared code of the devices in
// this folder. A device owns one and calls it under its own mutex. A fault in any queue stops them
// all and is reported once; from then on every queue looks empty until the device is reset.
//
// A device works in turns: in each it gets at most as many chains of a queue as the queue has
// entries, and then the queue looks empty, because a guest can fill it as fast as it is served.
// Remaining chains are served in a turn of the backlog's thread, without another notification.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "virtio/device.hpp"

namespace vmm::virtio {

class QueueSet {
 public:
  void start(Activation activation);
  void stop();
  // Stop and start one queue. Starting has no effect if a fault has stopped all queues meanwhile.
  void stop(uint16_t index);
  void start(uint16_t index, Queue queue);

  // Begins a turn, for all queues, or for the one whose lock the caller holds.
  void begin_turn();
  void begin_turn(uint16_t index);
  // Counts work that takes no chain as one chain of the turn. False when the turn is over; the
  // queue is then left to the backlog.
  bool spend(uint16_t index);
  // Leave the queue to the backlog after `wait`, or after a pause that lets other threads use the
  // device.
  void serve_after(uint16_t index, std::chrono::nanoseconds wait);
  void serve_soon(uint16_t index);

  bool ready(uint16_t index) const;
  bool has_available(uint16_t index) const;
  uint64_t features() const { return features_; }
  bool faulty() const { return faulty_; }

  // For a device whose queue is served elsewhere (vhost). The queue is ready.
  const QueueState& state(uint16_t index) const { return queues_[index]->state(); }
  void tell_used(uint16_t index);

  // Returns nothing when the queue is empty, stopped or faulty, or when the turn is over.
  std::optional<Chain> pop(uint16_t index);
  // Like pop(), but the caller reports faults. Several threads may call this and complete() for
  // different queues, while no thread starts or stops one.
  Queue::Popped take(uint16_t index);

  // Return chains to their queue, which must not have been stopped since. complete() interrupts the
  // driver if it requested that; the driver sees all of several chains or none.
  void complete(uint16_t index, Chain&& chain, uint32_t written_bytes);
  void complete(uint16_t index, std::vector<UsedChain>&& chains);
  void put_back(uint16_t index, Chain&& chain);

  void config_changed();

  // The driver broke the device's own protocol on queue `index`.
  void fail(uint16_t index, Fault fault);

 private:
  bool over(uint16_t index) const;

  std::vector<std::optional<Queue>> queues_;
  std::vector<uint16_t> left_;  // chains left in the turn, by queue
  Interrupt* interrupt_ = nullptr;
  Backlog* backlog_ = nullptr;
  uint64_t features_ = 0;
  bool faulty_ = false;
};

}  // namespace vmm::virtio
