// SPDX-License-Identifier: GPL-2.0-only
#include "pci/config_space.hpp"

#include <linux/pci_regs.h>

#include <algorithm>
#include <cassert>

namespace vmm::pci {

void ConfigSpace::set(uint64_t offset, unsigned width, uint32_t value, uint32_t writable) {
  assert(offset + width <= kBytes);
  for (unsigned i = 0; i < width; ++i) {
    bytes_[offset + i] = std::byte{static_cast<uint8_t>(value >> (8 * i))};
    writable_[offset + i] = std::byte{static_cast<uint8_t>(writable >> (8 * i))};
  }
}

uint32_t ConfigSpace::get(uint64_t offset, unsigned width) const {
  assert(offset + width <= kBytes);
  uint32_t value = 0;
  for (unsigned i = 0; i < width; ++i) {
    value |= std::to_integer<uint32_t>(bytes_[offset + i]) << (8 * i);
  }
  return value;
}

uint8_t ConfigSpace::add_capability(uint8_t id, std::span<const std::byte> body) {
  const auto at = static_cast<uint8_t>(capabilities_end_);
  capabilities_end_ = (at + 2 + body.size() + 3) & ~3ULL;
  assert(capabilities_end_ <= kBytes);
  set(at + PCI_CAP_LIST_ID, 1, id);
  std::ranges::copy(body, bytes_.begin() + at + 2);
  if (last_link_ == 0) {
    set(PCI_STATUS, 2, get(PCI_STATUS, 2) | PCI_STATUS_CAP_LIST);
    last_link_ = PCI_CAPABILITY_LIST;
  }
  set(last_link_, 1, at);
  last_link_ = static_cast<uint8_t>(at + PCI_CAP_LIST_NEXT);
  return at;
}

void ConfigSpace::read(uint64_t offset, std::span<std::byte> data) const {
  for (std::byte& byte : data) {
    byte = offset < kBytes ? bytes_[offset] : std::byte{0};
    ++offset;
  }
}

void ConfigSpace::write(uint64_t offset, std::span<const std::byte> data) {
  for (const std::byte byte : data) {
    if (offset >= kBytes) return;
    const std::byte mask = writable_[offset];
    bytes_[offset] = (bytes_[offset] & ~mask) | (byte & mask);
    ++offset;
  }
}

}  // namespace vmm::pci
