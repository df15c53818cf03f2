// SPDX-License-Identifier: GPL-2.0-only
//
// A disk image that is a plain file (or a block device), byte for byte. machine/ opens it and hands
// it to a virtio::Block, which owns it. Opening throws base::ConfigError with the path and a hint;
// input and output fail with an error code.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backend/block_backend.hpp"
#include "backend/flusher.hpp"
#include "backend/io_ring.hpp"
#include "base/unique_fd.hpp"

namespace vmm::backend {

class RawFile final : public BlockBackend {
 public:
  // `direct` bypasses the host's page cache (O_DIRECT). A `ring` serves flushes and all input and
  // output that the page cache cannot.
  RawFile(const std::string& path, bool read_only, bool direct = false,
          std::unique_ptr<IoRing> ring = nullptr);

  uint64_t size_bytes() const override { return size_bytes_; }
  bool read_only() const override { return read_only_; }
  bool concurrent() const override { return true; }
  uint32_t block_bytes() const override { return block_bytes_; }
  std::string identity() const override { return identity_; }
  std::error_code read(uint64_t offset_bytes, std::span<const iovec> into) override;
  std::error_code write(uint64_t offset_bytes, std::span<const iovec> from) override;
  std::error_code flush() override;
  Result begin_read(uint64_t offset_bytes, std::span<const iovec> into, Done done) override;
  Result begin_write(uint64_t offset_bytes, std::span<const iovec> from, Done done) override;
  bool begin_flush(Done& done) override;
  void drain() override;
  std::error_code discard(uint64_t offset_bytes, uint64_t length_bytes) override;
  std::error_code write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                               bool may_unmap) override;

 private:
  std::error_code write_zero_bytes(uint64_t offset_bytes, uint64_t length_bytes);

  bool direct_;
  base::UniqueFd fd_;
  Flusher flusher_;
  uint32_t block_bytes_;
  uint64_t size_bytes_;
  bool read_only_;
  std::string identity_;
  std::atomic<bool> cache_tells_ = true;  // the file system supports RWF_NOWAIT
  std::unique_ptr<IoRing> ring_;          // destroyed before the file
};

}  // namespace vmm::backend
