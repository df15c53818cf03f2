// SPDX-License-Identifier: GPL-2.0-only
//
// Walks a list of buffers from its start, for backends that serve a request piece by piece. Used
// within one call, on its thread; the buffers are the caller's.
#pragma once

#include <sys/uio.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vmm::backend {

class BufferCursor {
 public:
  explicit BufferCursor(std::span<const iovec> buffers);

  uint64_t left() const { return left_; }

  // Returns the buffers of the next `length` bytes, which must exist.
  std::vector<iovec> take(uint64_t length);

 private:
  std::span<const iovec> rest_;
  size_t used_ = 0;  // bytes used of the first buffer in rest_
  uint64_t left_ = 0;
};

// Copy between `bytes` and the buffers, whose total length is the length copied.
void scatter(const std::byte* bytes, std::span<const iovec> buffers);
void gather(std::span<const iovec> buffers, std::byte* bytes);
void clear(std::span<const iovec> buffers);

}  // namespace vmm::backend
