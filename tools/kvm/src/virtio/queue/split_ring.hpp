// SPDX-License-Identifier: GPL-2.0-only
//
// A split virtqueue (virtio 1.2, 2.7): descriptor table, available ring, used ring. Queue holds
// one, forwards to it and documents each method.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "memory/guest_memory.hpp"
#include "virtio/queue/chain.hpp"
#include "virtio/queue/fault.hpp"
#include "virtio/queue/state.hpp"

namespace vmm::virtio {

class SplitRing {
 public:
  static std::optional<Fault> check(const memory::GuestMemory& memory, const QueueState& state,
                                    uint16_t max_size);

  // `state` has passed check().
  SplitRing(memory::GuestMemory& memory, const QueueState& state)
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
  std::variant<uint16_t, Fault> available_count() const;
  void request_notification();
  Popped take_next();
  memory::GuestAddress available_entry(uint16_t index) const;
  memory::GuestAddress used_entry(uint16_t index) const;
  void fill_used(Chain&& chain, uint32_t written_bytes);
  void publish_used();

  memory::GuestMemory* memory_;
  QueueState state_;
  uint16_t in_flight_ = 0;
};

}  // namespace vmm::virtio
