// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/iovec_cursor.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::virtio {
namespace {

// Calls `visit` with each piece of [offset, offset + length).
template <class Visit>
void for_each_piece(std::span<const iovec> buffers, uint64_t offset, uint64_t length, Visit visit) {
  for (const iovec& buffer : buffers) {
    if (length == 0) return;
    if (offset >= buffer.iov_len) {
      offset -= buffer.iov_len;
      continue;
    }
    const std::span bytes(static_cast<std::byte*>(buffer.iov_base), buffer.iov_len);
    const auto piece = bytes.subspan(offset, std::min<uint64_t>(length, bytes.size() - offset));
    visit(piece);
    offset = 0;
    length -= piece.size();
  }
}

}  // namespace

std::vector<iovec> sub_range(std::span<const iovec> buffers, uint64_t offset, uint64_t length) {
  std::vector<iovec> pieces;
  pieces.reserve(buffers.size());
  for_each_piece(buffers, offset, length, [&](std::span<std::byte> piece) {
    pieces.push_back({piece.data(), piece.size()});
  });
  return pieces;
}

size_t copy_from(std::span<const iovec> buffers, uint64_t offset, std::span<std::byte> into) {
  size_t done = 0;
  for_each_piece(buffers, offset, into.size(), [&](std::span<std::byte> piece) {
    std::memcpy(into.subspan(done).data(), piece.data(), piece.size());
    done += piece.size();
  });
  return done;
}

size_t copy_to(std::span<const iovec> buffers, uint64_t offset, std::span<const std::byte> from) {
  size_t done = 0;
  for_each_piece(buffers, offset, from.size(), [&](std::span<std::byte> piece) {
    std::memcpy(piece.data(), from.subspan(done).data(), piece.size());
    done += piece.size();
  });
  return done;
}

void fill_zero(std::span<const iovec> buffers) {
  for (const iovec& buffer : buffers) std::memset(buffer.iov_base, 0, buffer.iov_len);
}

}  // namespace vmm::virtio
