// SPDX-License-Identifier: GPL-2.0-only
//
// The encoding of 9P: little-endian integers, and strings with a 16-bit length. Reader takes fields
// from a copy of the guest's message, which can't change meanwhile, and remembers if it ran past
// the end; Writer builds an answer. Used by the server on the thread of the request.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vmm::ninep {

static_assert(std::endian::native == std::endian::little);

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  // Returns zero once a field is missing; ok() is then false.
  template <std::unsigned_integral T>
  T take() {
    T value = 0;
    const auto bytes = take_bytes(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::string take_string();

  bool ok() const { return ok_; }

 private:
  std::span<const std::byte> take_bytes(size_t count);

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

class Writer {
 public:
  template <std::unsigned_integral T>
  void put(T value) {
    append(std::as_bytes(std::span(&value, 1)));
  }
  void put_string(std::string_view text);

  size_t size() const { return bytes_.size(); }
  // Sets a field whose value was not known when it was appended.
  void set_u32(size_t offset, uint32_t value);
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void append(std::span<const std::byte> bytes);

  std::vector<std::byte> bytes_;
};

}  // namespace vmm::ninep
