// SPDX-License-Identifier: GPL-2.0-only
//
// The guest's RAM: one anonymous mapping, which the guest sees at [0, 3 GiB) and, if it is larger,
// from 4 GiB on. The only place with pointer arithmetic on guest memory. machine/ owns it and
// outlives all users; every method is safe on any thread. The guest writes to this memory at any
// time: read a field once into a local, validate the local, use the local.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/unique_fd.hpp"
#include "memory/guest_address.hpp"

namespace vmm::memory {

struct Region {
  GuestAddress start;
  uint64_t length;
  std::byte* host;
};

enum class Backing {
  kAnonymous,  // ordinary memory, in huge pages where the host can
  kHugePages,  // 2 MiB pages from the host's pool (vm.nr_hugepages), all reserved at once
  kFile,       // a file in memory, whose content at a checkpoint can be brought back
};

class GuestMemory {
 public:
  static constexpr uint64_t kLowEnd = 3ULL << 30;
  static constexpr uint64_t kHighStart = 4ULL << 30;

  // `size_bytes` is a multiple of the page size and not zero. Pages are committed when touched.
  // Throws base::ConfigError when the pool has too few huge pages.
  explicit GuestMemory(uint64_t size_bytes, Backing backing = Backing::kAnonymous);
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  // The whole range, if it lies inside one region; else nothing. The length may be zero.
  std::optional<std::span<std::byte>> slice(GuestAddress address, uint64_t length) const;

  // Copy; false, with nothing touched, when the range is not in one region.
  bool read(GuestAddress address, std::span<std::byte> into) const;
  bool write(GuestAddress address, std::span<const std::byte> from);

  template <class T>
  std::optional<T> read_object(GuestAddress address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T object;
    if (!read(address, std::as_writable_bytes(std::span(&object, 1)))) return std::nullopt;
    return object;
  }

  template <class T>
  bool write_object(GuestAddress address, const T& object) {
    static_assert(std::is_trivially_copyable_v<T>);
    return write(address, std::as_bytes(std::span(&object, 1)));
  }

  // For the index words of a ring. A misaligned address counts as outside memory.
  std::optional<uint16_t> load_acquire_u16(GuestAddress address) const;
  bool store_release_u16(GuestAddress address, uint16_t value);

  // Makes the host, and so KVM, drop its mapping of the page that holds `address`; the page stays
  // accessible and keeps its content. False when there is no such page, or the host refuses.
  bool drop_mapping(GuestAddress address);

  // Returns the whole pages of `range`, a result of slice(), to the host: they read as zeroes
  // afterwards. Returns the number of bytes freed; 0 for a range outside guest memory.
  uint64_t release(std::span<std::byte> range);

  // Keeps the present content, for Backing::kFile; once. Nothing else may use guest memory
  // meanwhile. Throws base::SystemError.
  void checkpoint();
  // Brings that content back: copies the pages that were written since. Requires a checkpoint, and
  // that nothing else uses guest memory meanwhile. Returns the number of bytes copied. Throws
  // base::SystemError.
  uint64_t rewind();

  std::span<const Region> regions() const { return regions_; }
  uint64_t size() const { return size_; }

 private:
  uint16_t* aligned_u16(GuestAddress address) const;
  // Calls `act` with the offset of each page that differs from the checkpoint, or may differ.
  template <class Do>
  void for_own_pages(Do act) const;

  uint64_t size_;
  base::UniqueFd file_;              // kFile only
  const std::byte* kept_ = nullptr;  // a view of the file, once there is a checkpoint
  std::byte* base_;
  std::vector<Region> regions_;
};

}  // namespace vmm::memory
