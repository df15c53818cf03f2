// SPDX-License-Identifier: GPL-2.0-only
#include "machine/interrupts/doorbells.hpp"

namespace vmm::machine {

Doorbells::Doorbells(kvm::Vm& vm, const virtio::Device& device) : vm_(vm) {
  const size_t queues = device.queue_max_sizes().size();
  for (uint16_t queue = 0; queue < queues; ++queue) {
    const int event_fd = device.doorbell(queue);
    if (event_fd != virtio::Device::kNoDoorbell) lines_.push_back({queue, event_fd});
  }
}

void Doorbells::share(uint64_t address) {
  for (const Line& line : lines_) add({address, line.queue, line.event_fd});
}

void Doorbells::place(std::optional<uint64_t> first, uint64_t stride) {
  if (first == first_) return;
  first_ = first;
  for (const kvm::Doorbell& doorbell : placed_) vm_.remove_doorbell(doorbell);
  placed_.clear();
  if (!first) return;
  for (const Line& line : lines_) add({*first + line.queue * stride, std::nullopt, line.event_fd});
}

void Doorbells::add(const kvm::Doorbell& doorbell) {
  if (vm_.add_doorbell(doorbell)) placed_.push_back(doorbell);
}

}  // namespace vmm::machine
