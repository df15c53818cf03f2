// SPDX-License-Identifier: GPL-2.0-only
#include "backend/file_io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <vector>

namespace vmm::backend {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

// Moves the start of `buffers` past `count` bytes; returns how many buffers are used up.
size_t skip_bytes(std::span<iovec> buffers, size_t count) {
  size_t used = 0;
  while (used < buffers.size() && count >= buffers[used].iov_len) {
    count -= buffers[used].iov_len;
    ++used;
  }
  if (used < buffers.size()) {
    iovec& partial = buffers[used];
    partial.iov_base = static_cast<std::byte*>(partial.iov_base) + count;
    partial.iov_len -= count;
  }
  return used;
}

// Repeats `transfer` (preadv or pwritev) until all of the buffers are done.
template <class Transfer>
std::error_code transfer_all(std::span<const iovec> buffers, uint64_t offset, Transfer transfer) {
  std::vector<iovec> left(buffers.begin(), buffers.end());
  std::span<iovec> rest(left);
  rest = rest.subspan(skip_bytes(rest, 0));
  while (!rest.empty()) {
    const int count = static_cast<int>(std::min<size_t>(rest.size(), IOV_MAX));
    const ssize_t done = transfer(rest.data(), count, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return last_error();
    // The image was truncated while in use.
    if (done == 0) return std::make_error_code(std::errc::io_error);
    offset += static_cast<uint64_t>(done);
    rest = rest.subspan(skip_bytes(rest, static_cast<size_t>(done)));
  }
  return {};
}

template <class Call>
std::error_code repeat_interrupted(Call call) {
  int result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result < 0 ? last_error() : std::error_code{};
}

}  // namespace

std::error_code read_all(int fd, uint64_t offset_bytes, std::span<const iovec> into) {
  return transfer_all(into, offset_bytes, [fd](const iovec* buffers, int count, off_t offset) {
    return preadv(fd, buffers, count, offset);
  });
}

Cached read_cached(int fd, uint64_t offset_bytes, std::span<const iovec> into) {
  size_t wanted = 0;
  for (const iovec& buffer : into) wanted += buffer.iov_len;
  const ssize_t got = preadv2(fd, into.data(), static_cast<int>(into.size()),
                              static_cast<off_t>(offset_bytes), RWF_NOWAIT);
  if (got >= 0 && static_cast<size_t>(got) == wanted) return Cached::kRead;
  return got < 0 && errno != EAGAIN && errno != EINTR ? Cached::kUnknown : Cached::kMissing;
}

std::error_code write_all(int fd, uint64_t offset_bytes, std::span<const iovec> from) {
  return transfer_all(from, offset_bytes, [fd](const iovec* buffers, int count, off_t offset) {
    return pwritev(fd, buffers, count, offset);
  });
}

std::error_code sync_data(int fd) {
  return repeat_interrupted([fd] { return fdatasync(fd); });
}

std::error_code allocate(int fd, int mode, uint64_t offset_bytes, uint64_t length_bytes) {
  return repeat_interrupted([=] {
    return fallocate(fd, mode, static_cast<off_t>(offset_bytes), static_cast<off_t>(length_bytes));
  });
}

bool claim_image(int fd, bool read_only) {
  return flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

bool is_unsupported(const std::error_code& error) {
  return error == std::errc::operation_not_supported ||
         error == std::errc::function_not_supported || error == std::errc::invalid_argument;
}

}  // namespace vmm::backend
