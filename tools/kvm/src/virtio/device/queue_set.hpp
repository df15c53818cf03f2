// SPDX-License-Identifier: GPL-2.0-only
//
// The queues of an active device, its interrupt and its backlog, held together: what the devices of
// this folder share. A device owns one and calls it under its own mutex. A fault in any queue stops
// them all and is reported once; from then on every queue looks empty until the device is reset.
//
// A device takes turns: in each it gets as many chains of a queue as the queue has entries, and
// then the queue looks empty, because a guest can fill it as fast as it is served. What is left is
// served in a turn of the backlog's thread, which comes without another notification.
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
  // One queue; started again it is there anew, unless a fault has stopped them all meanwhile.
  void stop(uint16_t index);
  void start(uint16_t index, Queue queue);

  // A call of the device begins: of all its queues, or of the one whose lock the caller has.
  void begin_turn();
  void begin_turn(uint16_t index);
  // Uses up one of the turn's chains for work that takes none. False when there are no more; the
  // queue is then left to the backlog.
  bool spend(uint16_t index);
  // Leaves the queue to the backlog after `wait`, or as soon as others have had the device.
  void serve_after(uint16_t index, std::chrono::nanoseconds wait);
  void serve_soon(uint16_t index);

  bool ready(uint16_t index) const;
  bool has_available(uint16_t index) const;
  uint64_t features() const { return features_; }
  bool faulty() const { return faulty_; }

  // Of a queue that is ready, for who serves it by itself, and what that one has to tell.
  const QueueState& state(uint16_t index) const { return queues_[index]->state(); }
  void tell_used(uint16_t index);

  // Nothing when the queue is empty, stopped or faulty, or when the turn is over.
  std::optional<Chain> pop(uint16_t index);
  // The same, and a fault is the caller's to report. Of different queues by several threads at
  // once, as is complete(), while nobody starts or stops any.
  Queue::Popped take(uint16_t index);

  // A chain goes back to the queue it came from, which has not been stopped since. Completing
  // interrupts the driver if it asked for that; of several chains it sees all or none.
  void complete(uint16_t index, Chain&& chain, uint32_t written_bytes);
  void complete(uint16_t index, std::vector<UsedChain>&& chains);
  void put_back(uint16_t index, Chain&& chain);

  void config_changed();

  // The driver broke the device's own protocol on queue `index`.
  void fail(uint16_t index, Fault fault);

 private:
  bool over(uint16_t index) const;

  std::vector<std::optional<Queue>> queues_;
  std::vector<uint16_t> left_;  // of the turn, by queue
  Interrupt* interrupt_ = nullptr;
  Backlog* backlog_ = nullptr;
  uint64_t features_ = 0;
  bool faulty_ = false;
};

}  // namespace vmm::virtio
