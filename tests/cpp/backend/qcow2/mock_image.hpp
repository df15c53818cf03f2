// SPDX-License-Identifier: GPL-2.0-only
//
// Makes small qcow2 files, good and bad, field by field, without the code under test. Shared by the
// tests of this folder, on their thread.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "backend/qcow2/format.hpp"
#include "backend/qcow2/image.hpp"
#include "base/error.hpp"
#include "temporary_folder.hpp"

namespace vmm::test {

class ImageFolder {
 public:
  std::string path(const std::string& name) const { return folder_ / name; }
  std::string put(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return path(name);
  }

 private:
  TemporaryFolder folder_;
};

// A file of four clusters: header, refcount table, refcount block, L1 table.
class MockImage {
 public:
  explicit MockImage(uint64_t size_bytes, uint32_t cluster_bits = 16, uint32_t version = 3,
                     uint32_t refcount_order = 4)
      : cluster_bytes(1ULL << cluster_bits), bytes(4 * cluster_bytes, '\0') {
    const uint64_t per_l1_entry = cluster_bytes * cluster_bytes / 8;
    put<uint32_t>(0, backend::qcow2::kMagic);
    put<uint32_t>(4, version);
    put<uint32_t>(20, cluster_bits);
    put<uint64_t>(24, size_bytes);
    put<uint32_t>(36, static_cast<uint32_t>((size_bytes + per_l1_entry - 1) / per_l1_entry));
    put<uint64_t>(40, 3 * cluster_bytes);
    put<uint64_t>(48, cluster_bytes);
    put<uint32_t>(56, 1);
    if (version == 3) {
      put<uint32_t>(96, refcount_order);
      put<uint32_t>(100, 104);
    }
    put<uint64_t>(cluster_bytes, 2 * cluster_bytes);
    for (uint64_t cluster = 0; cluster < 4; ++cluster) count(cluster, 1, refcount_order);
  }

  template <class T>
  void put(size_t offset, T value) {
    if (bytes.size() < offset + sizeof value) bytes.resize(offset + sizeof value);
    backend::qcow2::store<T>(std::as_writable_bytes(std::span(bytes)), offset, value);
  }

  // Sets a count in the first refcount block.
  void count(uint64_t cluster, unsigned uses, uint32_t order = 4) {
    const uint64_t block = 2 * cluster_bytes;
    if (order == 4) return put<uint16_t>(block + 2 * cluster, static_cast<uint16_t>(uses));
    const uint64_t bit = cluster << order;
    const uint64_t last = order < 3 ? bit / 8 : bit / 8 + (1U << (order - 3)) - 1;
    bytes[block + last] |= static_cast<char>(uses << (order < 3 ? bit % 8 : 0));
  }

  // Appends a cluster, with a count of one.
  uint64_t add_cluster(const std::string& content) {
    const uint64_t offset = (bytes.size() + cluster_bytes - 1) / cluster_bytes * cluster_bytes;
    bytes.resize(offset + cluster_bytes, '\0');
    bytes.replace(offset, content.size(), content);
    count(offset / cluster_bytes, 1);
    return offset;
  }
  uint64_t add_l2() {
    const uint64_t offset = add_cluster("");
    put<uint64_t>(3 * cluster_bytes, offset | backend::qcow2::kCopied);
    return offset;
  }

  void set_backing(const std::string& name, const std::string& format) {
    size_t at = 104;
    if (!format.empty()) {
      put<uint32_t>(at, backend::qcow2::kExtensionBackingFormat);
      put<uint32_t>(at + 4, static_cast<uint32_t>(format.size()));
      bytes.replace(at + 8, format.size(), format);
      at += 8 + (format.size() + 7) / 8 * 8;
    }
    put<uint64_t>(at, 0);
    put<uint64_t>(8, at + 8);
    put<uint32_t>(16, static_cast<uint32_t>(name.size()));
    bytes.replace(at + 8, name.size(), name);
  }

  uint64_t cluster_bytes;
  std::string bytes;
};

inline std::string read_text(backend::BlockBackend& image, uint64_t offset, size_t length) {
  std::string text(length, '?');
  const iovec into[2] = {{text.data(), length / 3},
                         {text.data() + length / 3, length - length / 3}};
  const auto error = image.read(offset, into);
  CHECK_MESSAGE(!error, error.message());
  return text;
}

inline std::error_code write_text(backend::BlockBackend& image, uint64_t offset, std::string text) {
  const size_t part = text.size() / 3;
  const iovec from[2] = {{text.data(), part}, {text.data() + part, text.size() - part}};
  return image.write(offset, from);
}

inline std::string open_error(const std::string& path, bool read_only = false) {
  try {
    const backend::qcow2::Image image(path, read_only);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The errors that `qemu-img check` reports for a file; empty where it is not installed.
inline std::string qemu_complaint(const std::string& path) {
  if (std::system("command -v qemu-img >/dev/null 2>&1") != 0) return "";
  const std::string out = path + ".check";
  const std::string command = "qemu-img check -f qcow2 '" + path + "' >'" + out + "' 2>&1";
  if (std::system(command.c_str()) == 0) return "";
  std::ifstream file(out);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace vmm::test
