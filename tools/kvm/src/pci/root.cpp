// SPDX-License-Identifier: GPL-2.0-only
#include "pci/root.hpp"

#include <algorithm>
#include <cassert>

namespace vmm::pci {
namespace {

// Red Hat's id for the host bridge of a virtual machine, which no driver binds to (QEMU,
// docs/specs/pci-ids.rst).
constexpr Identity kBridge = {.vendor = 0x1b36, .device = 0x0008, .class_code = 0x060000};

constexpr uint64_t kMinSpacing = 0x1000;  // each bar has its own page

uint64_t span_of(const Bar& bar) { return std::max<uint64_t>(bar.size, kMinSpacing); }

// The first valid address for a bar from `address` on.
uint64_t place_after(uint64_t address, const Bar& bar) {
  const uint64_t span = span_of(bar);
  return (address + span - 1) / span * span;
}

}  // namespace

Root::Root(uint64_t window_start, uint64_t window_bytes, uint64_t first_address)
    : bridge_(kBridge),
      window_start_(window_start),
      window_end_(window_start + window_bytes),
      next_address_(first_address) {
  assert(first_address >= window_start && window_end_ <= 1ULL << 32);
  attach(bridge_, "pci-bridge");
}

bool Root::has_room(const Function& function) const {
  uint64_t next = next_address_;
  for (const auto& bar : function.bars()) next = place_after(next, *bar) + span_of(*bar);
  return next_slot_ < kSlots && next <= window_end_;
}

void Root::attach(Function& function, const std::string& name) {
  assert(has_room(function));
  functions_[next_slot_++] = &function;
  for (const auto& bar : function.bars()) {
    bar->name = bar->index == 0 ? name : name + "-bar" + std::to_string(bar->index);
    const uint64_t address = place_after(next_address_, *bar);
    function.place_bar(*bar, static_cast<uint32_t>(address));
    next_address_ = address + span_of(*bar);
    bars_.push_back(bar.get());
  }
  if (!function.bars().empty()) function.enable_memory();
}

Function* Root::find(uint32_t bus, uint32_t slot_function) const {
  const uint32_t slot = slot_function >> 3;
  if (bus != 0 || (slot_function & 7) != 0 || slot >= kSlots) return nullptr;
  return functions_[slot];
}

bool Root::read_config(uint32_t bus, uint32_t slot_function, uint64_t offset,
                       std::span<std::byte> data) {
  Function* function = find(bus, slot_function);
  if (function == nullptr) return false;
  function->read_config(offset, data);
  return true;
}

bool Root::write_config(uint32_t bus, uint32_t slot_function, uint64_t offset,
                        std::span<const std::byte> data) {
  Function* function = find(bus, slot_function);
  if (function == nullptr) return false;
  function->write_config(offset, data);
  return true;
}

// The first bar wins where the guest has made bars overlap.
Bar* Root::find_bar(uint64_t address, size_t length) const {
  const auto found =
      std::ranges::find_if(bars_, [&](const Bar* bar) { return bar->holds(address, length); });
  return found == bars_.end() ? nullptr : *found;
}

void Root::read(uint64_t offset, std::span<std::byte> data) {
  const uint64_t address = window_start_ + offset;
  Bar* bar = find_bar(address, data.size());
  if (bar == nullptr) {
    unclaimed_reads_.fetch_add(1, std::memory_order_relaxed);
    std::ranges::fill(data, std::byte{0xff});
    return;
  }
  bar->reads.fetch_add(1, std::memory_order_relaxed);
  // The guest may move the bar concurrently: the mask keeps the offset inside it.
  bar->device.read(address & (bar->size - 1), data);
}

void Root::write(uint64_t offset, std::span<const std::byte> data) {
  const uint64_t address = window_start_ + offset;
  Bar* bar = find_bar(address, data.size());
  if (bar == nullptr) {
    unclaimed_writes_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  bar->writes.fetch_add(1, std::memory_order_relaxed);
  bar->device.write(address & (bar->size - 1), data);
}

std::vector<bus::AccessCount> Root::counters() const {
  std::vector<bus::AccessCount> all;
  for (const Bar* bar : bars_) {
    all.push_back({bar->name, bar->reads.load(std::memory_order_relaxed),
                   bar->writes.load(std::memory_order_relaxed)});
  }
  const uint64_t reads = unclaimed_reads_.load(std::memory_order_relaxed);
  const uint64_t writes = unclaimed_writes_.load(std::memory_order_relaxed);
  if (reads != 0 || writes != 0) all.push_back({"unclaimed-pci", reads, writes});
  return all;
}

}  // namespace vmm::pci
