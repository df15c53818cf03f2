// SPDX-License-Identifier: GPL-2.0-only
#include "devices/test_device.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace vmm::devices {
namespace {

void fill_with_ones(std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
}

// The bus has checked the range; only a wrong attachment in the VMM could break it.
std::span<std::byte> part(std::span<std::byte> all, uint64_t offset, size_t size) {
  assert(offset <= all.size() && size <= all.size() - offset);
  return all.subspan(offset, size);
}

}  // namespace

void TestLatch::read(uint64_t offset, std::span<std::byte> data) {
  const std::lock_guard lock(mutex_);
  std::ranges::copy(part(bytes_, offset, data.size()), data.begin());
}

void TestLatch::write(uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  std::ranges::copy(data, part(bytes_, offset, data.size()).begin());
}

void TestRam::read(uint64_t offset, std::span<std::byte> data) {
  const std::lock_guard lock(mutex_);
  std::ranges::copy(part(bytes_, offset, data.size()), data.begin());
}

void TestRam::write(uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  std::ranges::copy(data, part(bytes_, offset, data.size()).begin());
}

void TestIrqLines::read(uint64_t, std::span<std::byte> data) { fill_with_ones(data); }

void TestIrqLines::write(uint64_t offset, std::span<const std::byte> data) {
  assert(offset < kSizeBytes);
  const bool level = std::ranges::any_of(data, [](std::byte byte) { return byte != std::byte{0}; });
  set_line_(static_cast<uint32_t>(offset), level);
}

void TestFlushPage::read(uint64_t, std::span<std::byte> data) { fill_with_ones(data); }

void TestFlushPage::write(uint64_t, std::span<const std::byte> data) {
  uint32_t address = 0;
  if (data.size() != sizeof address) return;
  std::memcpy(&address, data.data(), sizeof address);
  // An address without memory has no mapping to drop, so an error is ignored.
  static_cast<void>(memory_.drop_mapping(memory::GuestAddress{address}));
}

}  // namespace vmm::devices
