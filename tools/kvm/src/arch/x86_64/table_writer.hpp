// SPDX-License-Identifier: GPL-2.0-only
//
// Builds a firmware table field by field: little-endian, no padding, with a checksum byte. A value
// used inside one call of mp_table() or acpi_tables().
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace vmm::arch {

class TableWriter {
 public:
  TableWriter& u8(uint8_t value) { return little(value, 1); }
  TableWriter& u16(uint32_t value) { return little(value, 2); }
  TableWriter& u32(uint64_t value) { return little(value, 4); }
  TableWriter& u64(uint64_t value) { return little(value, 8); }
  TableWriter& text(std::string_view characters) {
    for (const char c : characters) u8(static_cast<uint8_t>(c));
    return *this;
  }
  TableWriter& zeros(size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }

  size_t size() const { return bytes_.size(); }

  // Overwrites the `width` bytes at `at`.
  void patch(size_t at, uint64_t value, int width = 1) {
    assert(at + static_cast<size_t>(width) <= bytes_.size());
    for (int i = 0; i < width; ++i) bytes_[at + static_cast<size_t>(i)] = byte_of(value, i);
  }

  // Sets the byte at `at` so that the first `length` bytes add up to zero.
  void set_checksum(size_t at, size_t length) {
    assert(length <= bytes_.size());
    patch(at, 0);
    unsigned sum = 0;
    for (size_t i = 0; i < length; ++i) sum += std::to_integer<unsigned>(bytes_[i]);
    patch(at, 0x100 - (sum & 0xff));
  }
  void set_checksum(size_t at) { set_checksum(at, size()); }

  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::exchange(bytes_, {}); }

 private:
  static std::byte byte_of(uint64_t value, int index) {
    return std::byte{static_cast<uint8_t>(value >> (8 * index))};
  }
  TableWriter& little(uint64_t value, int width) {
    for (int i = 0; i < width; ++i) bytes_.push_back(byte_of(value, i));
    return *this;
  }

  std::vector<std::byte> bytes_;
};

}  // namespace vmm::arch
