// SPDX-License-Identifier: GPL-2.0-only
//
// Treats a list of buffers as one run of bytes: drivers may split a request anywhere (virtio 1.2,
// 2.7.4), so a device never assumes that a descriptor is a field. Pure functions, used by the
// devices of this folder on any thread. Lengths come from a validated Chain.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vmm::virtio {

// The buffers of `length` bytes from `offset` on; shorter if the run ends before.
std::vector<iovec> sub_range(std::span<const iovec> buffers, uint64_t offset, uint64_t length);

// Copy up to the shorter of the two sides; return the number of bytes copied.
size_t copy_from(std::span<const iovec> buffers, uint64_t offset, std::span<std::byte> into);
size_t copy_to(std::span<const iovec> buffers, uint64_t offset, std::span<const std::byte> from);

void fill_zero(std::span<const iovec> buffers);

// The object at `offset`, if it is complete.
template <class T>
std::optional<T> object_from(std::span<const iovec> buffers, uint64_t offset) {
  T object;
  if (copy_from(buffers, offset, std::as_writable_bytes(std::span(&object, 1))) != sizeof object) {
    return std::nullopt;
  }
  return object;
}

}  // namespace vmm::virtio
