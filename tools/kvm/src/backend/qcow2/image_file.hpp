// SPDX-License-Identifier: GPL-2.0-only
//
// The file that an image lies in: bytes at offsets, and tables of 64-bit entries. Owned by an
// Image, which serialises the calls. Remembers the file's length: an image need not fill its last
// cluster, so bytes past its end read as zeroes, but a file that has shrunk is an error.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "backend/flusher.hpp"
#include "base/unique_fd.hpp"

namespace vmm::backend::qcow2 {

class ImageFile {
 public:
  // Throws base::ConfigError. Locks the file against writers, or against all others if this machine
  // writes it.
  ImageFile(const std::string& path, bool read_only);

  const std::string& path() const { return path_; }
  bool read_only() const { return read_only_; }
  uint64_t size_bytes() const { return size_bytes_; }
  // Whether `path` leads to this file.
  bool is(const std::string& path) const;

  std::error_code read(uint64_t offset_bytes, std::span<const iovec> into) const;
  std::error_code read(uint64_t offset_bytes, std::span<std::byte> into) const;
  std::error_code write(uint64_t offset_bytes, std::span<const iovec> from);
  std::error_code write(uint64_t offset_bytes, std::span<const std::byte> from);

  std::error_code read_entries(uint64_t offset_bytes, std::span<uint64_t> into) const;
  std::error_code write_entries(uint64_t offset_bytes, std::span<const uint64_t> from);

  std::error_code sync() { return flusher_.flush(); }

  // Whether the range was never written and so reads as zeroes. False where the file system does
  // not know.
  bool is_hole(uint64_t offset_bytes, uint64_t length_bytes) const;

  // Frees the space, if the file system can; the content no longer matters.
  void punch(uint64_t offset_bytes, uint64_t length_bytes);

 private:
  std::string path_;
  bool read_only_;
  base::UniqueFd fd_;
  Flusher flusher_;
  uint64_t size_bytes_ = 0;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace vmm::backend::qcow2
