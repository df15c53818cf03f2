// SPDX-License-Identifier: GPL-2.0-only
#include "backend/buffer_cursor.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::backend {

BufferCursor::BufferCursor(std::span<const iovec> buffers) : rest_(buffers) {
  for (const iovec& buffer : buffers) left_ += buffer.iov_len;
}

std::vector<iovec> BufferCursor::take(uint64_t length) {
  assert(length <= left_);
  left_ -= length;
  std::vector<iovec> taken;
  while (length > 0) {
    const iovec& buffer = rest_.front();
    const uint64_t step = std::min<uint64_t>(length, buffer.iov_len - used_);
    if (step > 0) taken.push_back({static_cast<std::byte*>(buffer.iov_base) + used_, step});
    length -= step;
    used_ += step;
    if (used_ == buffer.iov_len) {
      rest_ = rest_.subspan(1);
      used_ = 0;
    }
  }
  return taken;
}

void scatter(const std::byte* bytes, std::span<const iovec> buffers) {
  for (const iovec& buffer : buffers) {
    std::memcpy(buffer.iov_base, bytes, buffer.iov_len);
    bytes += buffer.iov_len;
  }
}

void gather(std::span<const iovec> buffers, std::byte* bytes) {
  for (const iovec& buffer : buffers) {
    std::memcpy(bytes, buffer.iov_base, buffer.iov_len);
    bytes += buffer.iov_len;
  }
}

void clear(std::span<const iovec> buffers) {
  for (const iovec& buffer : buffers) std::memset(buffer.iov_base, 0, buffer.iov_len);
}

}  // namespace vmm::backend
