// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/queue_set.hpp"

#include <cassert>
#include <utility>
#include <variant>

namespace vmm::virtio {

void QueueSet::start(Activation activation) {
  queues_ = std::move(activation.queues);
  left_.assign(queues_.size(), 0);
  interrupt_ = activation.interrupt;
  backlog_ = activation.backlog;
  features_ = activation.features;
  faulty_ = false;
}

void QueueSet::stop() {
  queues_.clear();
  interrupt_ = nullptr;
  backlog_ = nullptr;
  features_ = 0;
}

void QueueSet::stop(uint16_t index) {
  if (index < queues_.size()) queues_[index].reset();
}

void QueueSet::start(uint16_t index, Queue queue) {
  if (!faulty_ && index < queues_.size()) queues_[index] = std::move(queue);
}

void QueueSet::begin_turn() {
  for (uint16_t index = 0; index < queues_.size(); ++index) begin_turn(index);
}

void QueueSet::begin_turn(uint16_t index) {
  if (ready(index)) left_[index] = queues_[index]->size();
}

bool QueueSet::over(uint16_t index) const {
  return left_[index] == 0 || backlog_->must_leave(left_[index] < queues_[index]->size());
}

bool QueueSet::spend(uint16_t index) {
  if (!ready(index)) return false;
  if (over(index)) {
    serve_soon(index);
    return false;
  }
  --left_[index];
  return true;
}

void QueueSet::serve_after(uint16_t index, std::chrono::nanoseconds wait) {
  if (ready(index)) backlog_->serve_after(index, wait);
}

void QueueSet::serve_soon(uint16_t index) {
  if (ready(index)) backlog_->serve_soon(index);
}

bool QueueSet::ready(uint16_t index) const {
  return index < queues_.size() && queues_[index].has_value();
}

bool QueueSet::has_available(uint16_t index) const {
  return ready(index) && queues_[index]->has_available();
}

Queue::Popped QueueSet::take(uint16_t index) {
  if (!ready(index)) return NoChain{};
  Queue& queue = *queues_[index];
  if (!over(index)) {
    --left_[index];
    return queue.pop();
  }
  // Notifications are enabled only for an empty queue. A queue that has chains by now is left to
  // the backlog.
  if (!queue.has_available()) {
    auto popped = queue.pop();
    Chain* chain = std::get_if<Chain>(&popped);
    if (chain == nullptr) return popped;
    queue.put_back(std::move(*chain));
  }
  serve_soon(index);
  return NoChain{};
}

std::optional<Chain> QueueSet::pop(uint16_t index) {
  auto popped = take(index);
  if (const Fault* fault = std::get_if<Fault>(&popped)) {
    fail(index, *fault);
    return std::nullopt;
  }
  if (Chain* chain = std::get_if<Chain>(&popped)) return std::move(*chain);
  return std::nullopt;
}

void QueueSet::complete(uint16_t index, Chain&& chain, uint32_t written_bytes) {
  assert(ready(index));
  queues_[index]->push_used(std::move(chain), written_bytes);
  if (queues_[index]->needs_interrupt()) interrupt_->queue_used(index);
}

void QueueSet::complete(uint16_t index, std::vector<UsedChain>&& chains) {
  assert(ready(index));
  queues_[index]->push_used(std::move(chains));
  if (queues_[index]->needs_interrupt()) interrupt_->queue_used(index);
}

void QueueSet::put_back(uint16_t index, Chain&& chain) {
  assert(ready(index));
  queues_[index]->put_back(std::move(chain));
}

void QueueSet::tell_used(uint16_t index) {
  if (ready(index)) interrupt_->queue_used(index);
}

void QueueSet::config_changed() {
  if (interrupt_ != nullptr) interrupt_->config_changed();
}

void QueueSet::fail(uint16_t index, Fault fault) {
  for (auto& queue : queues_) queue.reset();
  faulty_ = true;
  interrupt_->needs_reset(index, fault);
}

}  // namespace vmm::virtio
