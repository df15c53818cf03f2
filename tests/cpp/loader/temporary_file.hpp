// SPDX-License-Identifier: GPL-2.0-only
//
// A file for one test, removed with it. Used by the loader's tests, on their thread.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace vmm::test {

class TemporaryFile {
 public:
  explicit TemporaryFile(std::span<const std::byte> content) {
    const int fd = mkstemp(path_.data());
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    close(fd);
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/vmm-loader-test-XXXXXX";
};

// Puts the bytes of `object` at `offset`, growing the image as needed.
template <class T>
void put(std::vector<std::byte>& image, size_t offset, const T& object) {
  const auto bytes = std::as_bytes(std::span(&object, 1));
  if (image.size() < offset + bytes.size()) image.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
}

// The message that loading throws, or "" on success.
template <class Call>
std::string failure_of(Call call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace vmm::test
