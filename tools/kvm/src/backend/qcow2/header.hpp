// SPDX-License-Identifier: GPL-2.0-only
//
// The header of a qcow2 file, checked: its values are safe to divide and shift by. An image comes
// from anywhere, so a header that is unknown, encrypted, out of bounds or contradicts itself is
// refused with a message that says why. Read once, when an image is opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vmm::backend::qcow2 {

struct Header {
  uint32_t version;
  uint32_t cluster_bits;
  uint64_t size_bytes;  // size of the virtual disk
  uint64_t l1_offset;
  uint32_t l1_entries;
  uint64_t refcount_table_offset;
  uint32_t refcount_table_clusters;
  uint32_t refcount_order;
  uint64_t autoclear;
  std::string backing_path;    // empty: none
  std::string backing_format;  // raw or qcow2, if there is a backing file

  uint64_t cluster_bytes() const { return 1ULL << cluster_bits; }
  uint64_t l2_entries() const { return cluster_bytes() / sizeof(uint64_t); }
  uint64_t clusters() const {
    return (size_bytes >> cluster_bits) + ((size_bytes & (cluster_bytes() - 1)) != 0 ? 1 : 0);
  }
  uint64_t cluster_of(uint64_t offset) const { return offset >> cluster_bits; }
};

// `start` is the file's first cluster, or all of a smaller file. Throws a base::ConfigError with
// `path`, the error and a hint.
Header parse_header(const std::string& path, std::span<const std::byte> start, bool read_only);

// The number of bytes that parse_header() needs.
inline constexpr size_t kHeaderReadBytes = 64 * 1024;

// Throws the base::ConfigError for any error in an image.
[[noreturn]] void refuse(const std::string& path, const std::string& what, const std::string& fix);

}  // namespace vmm::backend::qcow2
