// SPDX-License-Identifier: GPL-2.0-only
#include "pci/msix.hpp"

#include <linux/pci_regs.h>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace vmm::pci {
namespace {

constexpr size_t kWord = sizeof(uint32_t);

// Software must read and write whole doublewords or quadwords (6.8.2).
bool is_table_access(uint64_t offset, size_t width) {
  return (width == kWord || width == 2 * kWord) && offset % width == 0;
}

}  // namespace

MsixTable::MsixTable(base::MessageInterrupt& messages, uint16_t vectors)
    : messages_(messages), entries_(vectors, Entry{.control = PCI_MSIX_ENTRY_CTRL_MASKBIT}) {
  assert(vectors >= 1 && vectors <= kMaxVectors);
}

void MsixTable::read(uint64_t offset, std::span<std::byte> data) {
  if (!is_table_access(offset, data.size())) {
    std::ranges::fill(data, std::byte{0xff});
    return;
  }
  const std::lock_guard lock(mutex_);
  for (size_t at = 0; at < data.size(); at += kWord) {
    const uint32_t value = read_word(offset + at);
    std::memcpy(data.data() + at, &value, kWord);
  }
}

void MsixTable::write(uint64_t offset, std::span<const std::byte> data) {
  if (!is_table_access(offset, data.size())) return;
  const std::lock_guard lock(mutex_);
  for (size_t at = 0; at < data.size(); at += kWord) {
    uint32_t value;
    std::memcpy(&value, data.data() + at, kWord);
    write_word(offset + at, value);
  }
}

uint32_t MsixTable::read_word(uint64_t offset) const {
  if (offset >= kPendingOffset) {
    uint32_t bits = 0;
    const uint64_t first = (offset - kPendingOffset) * 8;
    for (uint64_t i = 0; i < 32 && first + i < entries_.size(); ++i) {
      bits |= uint32_t{entries_[first + i].pending} << i;
    }
    return bits;
  }
  const uint64_t vector = offset / PCI_MSIX_ENTRY_SIZE;
  if (vector >= entries_.size()) return 0;
  const Entry& entry = entries_[vector];
  switch (offset % PCI_MSIX_ENTRY_SIZE) {
    case PCI_MSIX_ENTRY_LOWER_ADDR:
      return static_cast<uint32_t>(entry.address);
    case PCI_MSIX_ENTRY_UPPER_ADDR:
      return static_cast<uint32_t>(entry.address >> 32);
    case PCI_MSIX_ENTRY_DATA:
      return entry.data;
    default:
      return entry.control;
  }
}

void MsixTable::write_word(uint64_t offset, uint32_t value) {
  const uint64_t vector = offset / PCI_MSIX_ENTRY_SIZE;
  if (vector >= entries_.size()) return;  // the pending bits are read-only
  Entry& entry = entries_[vector];
  take_back(static_cast<uint16_t>(vector));
  switch (offset % PCI_MSIX_ENTRY_SIZE) {
    case PCI_MSIX_ENTRY_LOWER_ADDR:
      entry.address = (entry.address & ~0xffffffffULL) | value;
      break;
    case PCI_MSIX_ENTRY_UPPER_ADDR:
      entry.address = (entry.address & 0xffffffffULL) | uint64_t{value} << 32;
      break;
    case PCI_MSIX_ENTRY_DATA:
      entry.data = value;
      break;
    default:
      entry.control = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
      send_pending(entry);
  }
  pass_on(static_cast<uint16_t>(vector));
}

void MsixTable::set_control(uint16_t control) {
  const std::lock_guard lock(mutex_);
  enabled_ = (control & PCI_MSIX_FLAGS_ENABLE) != 0;
  all_masked_ = (control & PCI_MSIX_FLAGS_MASKALL) != 0;
  for (uint16_t vector = 0; vector < vectors(); ++vector) {
    if (masked(entries_[vector])) take_back(vector);
    send_pending(entries_[vector]);
    pass_on(vector);
  }
}

void MsixTable::checkpoint() {
  const std::lock_guard lock(mutex_);
  assert(wires_.empty());
  kept_ = entries_;
}

void MsixTable::rewind() {
  const std::lock_guard lock(mutex_);
  entries_ = kept_;
}

void MsixTable::raise(uint16_t vector) {
  const std::lock_guard lock(mutex_);
  assert(vector < entries_.size());
  if (!enabled_) return;
  entries_[vector].pending = true;
  send_pending(entries_[vector]);
}

void MsixTable::wire(uint16_t vector, base::EventSource& source) {
  const std::lock_guard lock(mutex_);
  assert(vector < entries_.size());
  wires_.push_back({&source, vector});
  pass_on(vector);
}

void MsixTable::unwire(base::EventSource& source) {
  const std::lock_guard lock(mutex_);
  const auto wire = std::ranges::find(wires_, &source, &Wire::source);
  if (wire == wires_.end()) return;
  take_back(*wire);
  wires_.erase(wire);
}

// The owner listens again before the messages end, so that no event in between is lost.
void MsixTable::take_back(Wire& wire) {
  if (!wire.passed) return;
  wire.passed = false;
  wire.source->take_back();
  messages_.drop(wire.source->fd());
}

void MsixTable::take_back(uint16_t vector) {
  for (Wire& wire : wires_) {
    if (wire.vector == vector) take_back(wire);
  }
}

void MsixTable::pass_on(uint16_t vector) {
  const Entry& entry = entries_[vector];
  if (masked(entry)) return;
  for (Wire& wire : wires_) {
    if (wire.vector != vector || wire.passed) continue;
    wire.passed = messages_.pass(wire.source->fd(), entry.address, entry.data);
    if (wire.passed) wire.source->pass_on();
  }
}

bool MsixTable::masked(const Entry& entry) const {
  return !enabled_ || all_masked_ || (entry.control & PCI_MSIX_ENTRY_CTRL_MASKBIT) != 0;
}

void MsixTable::send_pending(Entry& entry) {
  if (!entry.pending || masked(entry)) return;
  entry.pending = false;
  messages_.signal(entry.address, entry.data);
}

}  // namespace vmm::pci
