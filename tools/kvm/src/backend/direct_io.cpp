// SPDX-License-Identifier: GPL-2.0-only
#include "backend/direct_io.hpp"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <vector>

#include "backend/block_backend.hpp"
#include "backend/buffer_cursor.hpp"
#include "backend/file_io.hpp"

namespace vmm::backend {
namespace {

// Safe for every disk, where the kernel (before 6.1) does not report the size.
constexpr uint32_t kSafeBlockBytes = 4096;
constexpr uint64_t kBounceBytes = 1 << 20;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Goes through an aligned buffer, piece by piece: `transfer` moves it to or from the file;
// `copy_in` and `copy_out` are called before and after.
template <class CopyIn, class Transfer, class CopyOut>
std::error_code bounce(uint64_t offset, std::span<const iovec> buffers, CopyIn copy_in,
                       Transfer transfer, CopyOut copy_out) {
  BufferCursor cursor(buffers);
  const uint64_t size = std::min(
      kBounceBytes, (cursor.left() + kSafeBlockBytes - 1) & ~uint64_t{kSafeBlockBytes - 1});
  const std::unique_ptr<void, Free> memory(std::aligned_alloc(kSafeBlockBytes, size));
  if (memory == nullptr) return std::make_error_code(std::errc::not_enough_memory);
  auto* bytes = static_cast<std::byte*>(memory.get());
  while (cursor.left() > 0) {
    const uint64_t step = std::min(size, cursor.left());
    const std::vector<iovec> piece = cursor.take(step);
    copy_in(piece, bytes);
    const iovec buffer{bytes, step};
    if (const auto error = transfer(offset, std::span(&buffer, 1))) return error;
    copy_out(bytes, piece);
    offset += step;
  }
  return {};
}

}  // namespace

bool is_aligned(std::span<const iovec> buffers, uint32_t block_bytes) {
  return std::ranges::all_of(buffers, [block_bytes](const iovec& buffer) {
    return (reinterpret_cast<uintptr_t>(buffer.iov_base) | buffer.iov_len) % block_bytes == 0;
  });
}

uint32_t direct_block_bytes(int fd) {
#ifdef STATX_DIOALIGN
  struct statx info {};
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
      (info.stx_mask & STATX_DIOALIGN) && std::has_single_bit(info.stx_dio_offset_align)) {
    const uint32_t larger = std::max(info.stx_dio_offset_align, info.stx_dio_mem_align);
    return std::max<uint32_t>(larger, kSectorBytes);
  }
#else
  static_cast<void>(fd);
#endif
  return kSafeBlockBytes;
}

std::error_code read_direct(int fd, uint32_t block_bytes, uint64_t offset_bytes,
                            std::span<const iovec> into) {
  if (is_aligned(into, block_bytes)) return read_all(fd, offset_bytes, into);
  return bounce(
      offset_bytes, into, [](std::span<const iovec>, std::byte*) {},
      [fd](uint64_t offset, std::span<const iovec> to) { return read_all(fd, offset, to); },
      [](const std::byte* bytes, std::span<const iovec> to) { scatter(bytes, to); });
}

std::error_code write_direct(int fd, uint32_t block_bytes, uint64_t offset_bytes,
                             std::span<const iovec> from) {
  if (is_aligned(from, block_bytes)) return write_all(fd, offset_bytes, from);
  return bounce(
      offset_bytes, from,
      [](std::span<const iovec> piece, std::byte* bytes) { gather(piece, bytes); },
      [fd](uint64_t offset, std::span<const iovec> bytes) { return write_all(fd, offset, bytes); },
      [](const std::byte*, std::span<const iovec>) {});
}

}  // namespace vmm::backend
