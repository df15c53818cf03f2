// SPDX-License-Identifier: GPL-2.0-only
//
// A disk in a vector, for the tests of the block device: counts flushes and fails on demand.
#pragma once

#include <cstring>
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
  std::string identity() const override { return "a-name-longer-than-twenty.img"; }

  std::error_code read(uint64_t offset, std::span<const iovec> into) override {
    for (const iovec& buffer : into) {
      std::memcpy(buffer.iov_base, bytes.data() + offset, buffer.iov_len);
      offset += buffer.iov_len;
    }
    return error;
  }
  std::error_code write(uint64_t offset, std::span<const iovec> from) override {
    for (const iovec& buffer : from) {
      std::memcpy(bytes.data() + offset, buffer.iov_base, buffer.iov_len);
      offset += buffer.iov_len;
    }
    return error;
  }
  std::error_code flush() override {
    ++flushes;
    return error;
  }
  std::error_code discard(uint64_t offset, uint64_t length) override {
    return write_zeroes(offset, length, true);
  }
  std::error_code write_zeroes(uint64_t offset, uint64_t length, bool) override {
    bytes.replace(offset, length, length, '\0');
    return error;
  }

  std::string bytes;
  std::error_code error;
  int flushes = 0;

 private:
  bool read_only_;
};

}  // namespace vmm::test
