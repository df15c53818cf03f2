// SPDX-License-Identifier: GPL-2.0-only
//
// A kernel or initrd file being loaded: opened once, read straight into guest memory. Used by the
// loaders on the set-up thread. Every failure is a LoadError that names the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/unique_fd.hpp"

namespace vmm::loader {

class ImageFile {
 public:
  // Every message begins with `role` ("kernel", "initrd"). An empty or unreadable file is refused.
  ImageFile(std::string role, std::string path);

  uint64_t size() const { return size_; }

  // Reads exactly that range; fails if it goes past the end of the file, which is then truncated.
  void read(uint64_t offset, std::span<std::byte> into) const;

  template <class T>
  T read_object(uint64_t offset) const {
    T object;
    read(offset, std::as_writable_bytes(std::span(&object, 1)));
    return object;
  }

  // "kernel PATH: WHAT"
  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::string role_;
  std::string path_;
  base::UniqueFd fd_;
  uint64_t size_ = 0;
};

}  // namespace vmm::loader
