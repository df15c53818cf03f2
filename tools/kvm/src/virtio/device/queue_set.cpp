// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/queue_set.hpp"

#include <cassert>
#include <utility>

namespace vmm::virtio {

void QueueSet::start(Activation activation) {
  queues_ = std::move(activation.queues);
  interrupt_ = activation.interrupt;
  features_ = activation.features;
  faulty_ = false;
}

void QueueSet::stop() {
  queues_.clear();
  interrupt_ = nullptr;
  features_ = 0;
}

void QueueSet::stop(uint16_t index) {
  if (index < queues_.size()) queues_[index].reset();
}

void QueueSet::start(uint16_t index, Queue queue) {
  if (!faulty_ && index < queues_.size()) queues_[index] = std::move(queue);
}

bool QueueSet::ready(uint16_t index) const {
  return index < queues_.size() && queues_[index].has_value();
}

bool QueueSet::has_available(uint16_t index) const {
  return ready(index) && queues_[index]->has_available();
}

Queue::Popped QueueSet::take(uint16_t index) {
  if (!ready(index)) return NoChain{};
  return queues_[index]->pop();
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
