// SPDX-License-Identifier: GPL-2.0-only
#include "bus/bus.hpp"

#include <algorithm>
#include <stdexcept>

namespace vmm::bus {

void Bus::attach(uint64_t base, uint64_t size, Device& device, std::string name) {
  if (size == 0 || base + (size - 1) < base) {
    throw std::logic_error("bus range of " + name + " is empty or wraps");
  }
  const auto above = std::find_if(ranges_.begin(), ranges_.end(),
                                  [&](const auto& range) { return range->base >= base; });
  if (above != ranges_.end() && (*above)->base - base < size) {
    throw std::logic_error("bus range of " + name + " overlaps " + (*above)->name);
  }
  if (above != ranges_.begin() && base - (*(above - 1))->base < (*(above - 1))->size) {
    throw std::logic_error("bus range of " + name + " overlaps " + (*(above - 1))->name);
  }
  auto range = std::make_unique<Range>();
  range->base = base;
  range->size = size;
  range->device = &device;
  range->name = std::move(name);
  ranges_.insert(above, std::move(range));
}

Bus::Range* Bus::find(uint64_t address, size_t length) const {
  const auto above =
      std::upper_bound(ranges_.begin(), ranges_.end(), address,
                       [](uint64_t wanted, const auto& range) { return wanted < range->base; });
  if (above == ranges_.begin()) return nullptr;
  Range* range = (above - 1)->get();
  const uint64_t offset = address - range->base;
  if (offset >= range->size || length > range->size - offset) return nullptr;
  return length <= range->device->widest_access() ? range : nullptr;
}

bool Bus::read(uint64_t address, std::span<std::byte> data) {
  Range* range = find(address, data.size());
  if (range == nullptr) return read_bytes(address, data);
  range->reads.fetch_add(1, std::memory_order_relaxed);
  range->device->read(address - range->base, data);
  return true;
}

bool Bus::write(uint64_t address, std::span<const std::byte> data) {
  Range* range = find(address, data.size());
  if (range == nullptr) return write_bytes(address, data);
  range->writes.fetch_add(1, std::memory_order_relaxed);
  range->device->write(address - range->base, data);
  return true;
}

bool Bus::read_bytes(uint64_t address, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  bool claimed = false;
  for (size_t i = 0; i < data.size() && address + i >= address; ++i) {
    Range* range = find(address + i, 1);
    if (range == nullptr) continue;
    // An access counts once for each range that it touches, at its first byte there.
    if (i == 0 || address + i == range->base) {
      range->reads.fetch_add(1, std::memory_order_relaxed);
    }
    range->device->read(address + i - range->base, data.subspan(i, 1));
    claimed = true;
  }
  if (!claimed) unclaimed_reads_.fetch_add(1, std::memory_order_relaxed);
  return claimed;
}

bool Bus::write_bytes(uint64_t address, std::span<const std::byte> data) {
  bool claimed = false;
  for (size_t i = 0; i < data.size() && address + i >= address; ++i) {
    Range* range = find(address + i, 1);
    if (range == nullptr) continue;
    if (i == 0 || address + i == range->base) {
      range->writes.fetch_add(1, std::memory_order_relaxed);
    }
    range->device->write(address + i - range->base, data.subspan(i, 1));
    claimed = true;
  }
  if (!claimed) unclaimed_writes_.fetch_add(1, std::memory_order_relaxed);
  return claimed;
}

std::vector<AccessCount> Bus::counters() const {
  std::vector<AccessCount> all;
  for (const auto& range : ranges_) {
    all.push_back({range->name, range->reads.load(std::memory_order_relaxed),
                   range->writes.load(std::memory_order_relaxed)});
  }
  const uint64_t reads = unclaimed_reads_.load(std::memory_order_relaxed);
  const uint64_t writes = unclaimed_writes_.load(std::memory_order_relaxed);
  if (reads != 0 || writes != 0) all.push_back({"unclaimed", reads, writes});
  return all;
}

}  // namespace vmm::bus
