// SPDX-License-Identifier: GPL-2.0-only
//
// A disk in memory, for the tests of the block device and of the backends that wrap another: counts
// calls and fails on demand. `error` fails each call but lets it change the bytes; `flush_error`
// fails only flushes; `bad_byte` fails calls that read or change that byte. `on_slow` is called by
// operations that may take long on a real disk, and may block.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/block_backend.hpp"

namespace vmm::test {

class MemoryBackend final : public backend::BlockBackend {
 public:
  explicit MemoryBackend(uint64_t size_bytes, bool read_only = false)
      : bytes(size_bytes, '\0'), read_only_(read_only) {}

  uint64_t size_bytes() const override { return bytes.size(); }
  bool read_only() const override { return read_only_; }
  bool concurrent() const override { return side_by_side; }
  std::string identity() const override { return "a-name-longer-than-twenty.img"; }

  std::error_code read(uint64_t offset, std::span<const iovec> into) override {
    ++reads;
    if (is_bad(offset, total(into))) return bad_byte_error();
    for (const iovec& buffer : into) {
      std::memcpy(buffer.iov_base, bytes.data() + offset, buffer.iov_len);
      offset += buffer.iov_len;
    }
    return error;
  }
  std::error_code write(uint64_t offset, std::span<const iovec> from) override {
    ++writes;
    if (is_bad(offset, total(from))) return bad_byte_error();
    for (const iovec& buffer : from) {
      std::memcpy(bytes.data() + offset, buffer.iov_base, buffer.iov_len);
      offset += buffer.iov_len;
    }
    return error;
  }
  std::error_code flush() override {
    if (on_slow) on_slow();
    ++flushes;
    return flush_error ? flush_error : error;
  }
  std::error_code discard(uint64_t offset, uint64_t length) override {
    if (on_slow) on_slow();
    ++discards;
    return clear(offset, length);
  }
  std::error_code write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override {
    if (on_slow) on_slow();
    longest_zeroes = std::max(longest_zeroes, length);
    ++(may_unmap ? unmaps : zeroes);
    return clear(offset, length);
  }

  std::string bytes;
  std::error_code error;
  std::error_code flush_error;
  std::optional<uint64_t> bad_byte;
  std::function<void()> on_slow;
  bool side_by_side = false;  // the value of concurrent(); only for reads of constant data
  uint64_t longest_zeroes = 0;
  int reads = 0;
  int writes = 0;
  int flushes = 0;
  int discards = 0;
  int zeroes = 0;
  int unmaps = 0;

 private:
  static uint64_t total(std::span<const iovec> buffers) {
    uint64_t length = 0;
    for (const iovec& buffer : buffers) length += buffer.iov_len;
    return length;
  }
  static std::error_code bad_byte_error() { return std::make_error_code(std::errc::io_error); }
  bool is_bad(uint64_t offset, uint64_t length) const {
    return bad_byte && *bad_byte >= offset && *bad_byte - offset < length;
  }
  std::error_code clear(uint64_t offset, uint64_t length) {
    if (is_bad(offset, length)) return bad_byte_error();
    bytes.replace(offset, length, length, '\0');
    return error;
  }

  bool read_only_;
};

}  // namespace vmm::test
