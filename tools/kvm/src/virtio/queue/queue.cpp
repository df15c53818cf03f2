// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/queue.hpp"

#include <optional>
#include <utility>

namespace vmm::virtio {

std::variant<Queue, Fault> Queue::create(memory::GuestMemory& memory, const QueueState& state,
                                         uint16_t max_size) {
  if (state.packed) {
    if (const auto fault = PackedRing::check(memory, state, max_size)) return *fault;
    return Queue(PackedRing(memory, state));
  }
  if (const auto fault = SplitRing::check(memory, state, max_size)) return *fault;
  return Queue(SplitRing(memory, state));
}

Popped Queue::pop() {
  return std::visit([](auto& ring) { return ring.pop(); }, ring_);
}

bool Queue::has_available() const {
  return std::visit([](const auto& ring) { return ring.has_available(); }, ring_);
}

void Queue::push_used(Chain&& chain, uint32_t written_bytes) {
  std::visit([&](auto& ring) { ring.push_used(std::move(chain), written_bytes); }, ring_);
}

void Queue::push_used(std::vector<UsedChain>&& chains) {
  std::visit([&](auto& ring) { ring.push_used(std::move(chains)); }, ring_);
}

void Queue::put_back(Chain&& chain) {
  std::visit([&](auto& ring) { ring.put_back(std::move(chain)); }, ring_);
}

bool Queue::needs_interrupt() {
  return std::visit([](auto& ring) { return ring.needs_interrupt(); }, ring_);
}

uint16_t Queue::in_flight() const {
  return std::visit([](const auto& ring) { return ring.in_flight(); }, ring_);
}

const QueueState& Queue::state() const {
  return std::visit([](const auto& ring) -> const QueueState& { return ring.state(); }, ring_);
}

}  // namespace vmm::virtio
