// SPDX-License-Identifier: GPL-2.0-only
#include "backend/raw_file.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <vector>

#include "base/error.hpp"

namespace vmm::backend {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

std::string mend_for(int error, bool read_only) {
  switch (error) {
    case ENOENT:
      return "create it first, for example with: truncate -s 1G FILE";
    case EACCES:
    case EPERM:
    case EROFS:
      return read_only ? "make it readable for this user"
                       : "make it writable for this user, or attach the disk read-only";
    case EISDIR:
      return "name an image file instead of a folder";
    default:
      return "check the path";
  }
}

base::UniqueFd open_image(const std::string& path, bool read_only) {
  const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  base::UniqueFd fd(::open(path.c_str(), flags));
  if (fd) return fd;
  const int error = errno;
  throw base::ConfigError("disk " + path + ": " + std::strerror(error) + "; " +
                          mend_for(error, read_only));
}

uint64_t image_size(int fd, const std::string& path) {
  struct stat info {};
  base::check(fstat(fd, &info), "fstat(" + path + ")");
  uint64_t size = static_cast<uint64_t>(info.st_size);
  if (S_ISBLK(info.st_mode)) {
    base::check(ioctl(fd, BLKGETSIZE64, &size), "ioctl(" + path + ", BLKGETSIZE64)");
  } else if (!S_ISREG(info.st_mode)) {
    throw base::ConfigError("disk " + path +
                            ": neither a file nor a block device; name a raw image");
  }
  if (size % kSectorBytes == 0) return size;
  const uint64_t rounded = (size / kSectorBytes + 1) * kSectorBytes;
  throw base::ConfigError("disk " + path + ": its size, " + std::to_string(size) +
                          " bytes, is not a multiple of 512; grow it with: truncate -s " +
                          std::to_string(rounded) + " FILE");
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

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
    // Somebody truncated the image behind our back.
    if (done == 0) return std::make_error_code(std::errc::io_error);
    offset += static_cast<uint64_t>(done);
    rest = rest.subspan(skip_bytes(rest, static_cast<size_t>(done)));
  }
  return {};
}

std::error_code allocate(int fd, int mode, uint64_t offset, uint64_t length) {
  int result;
  do {
    result = fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
  } while (result < 0 && errno == EINTR);
  return result < 0 ? last_error() : std::error_code{};
}

bool unsupported(const std::error_code& error) {
  return error == std::errc::operation_not_supported ||
         error == std::errc::function_not_supported || error == std::errc::invalid_argument;
}

}  // namespace

RawFile::RawFile(const std::string& path, bool read_only)
    : fd_(open_image(path, read_only)),
      size_bytes_(image_size(fd_.get(), path)),
      read_only_(read_only),
      identity_(base_name(path)) {}

std::error_code RawFile::read(uint64_t offset_bytes, std::span<const iovec> into) {
  return transfer_all(into, offset_bytes, [&](const iovec* buffers, int count, off_t offset) {
    return preadv(fd_.get(), buffers, count, offset);
  });
}

std::error_code RawFile::write(uint64_t offset_bytes, std::span<const iovec> from) {
  return transfer_all(from, offset_bytes, [&](const iovec* buffers, int count, off_t offset) {
    return pwritev(fd_.get(), buffers, count, offset);
  });
}

std::error_code RawFile::flush() {
  if (read_only_) return {};
  int result;
  do {
    result = fdatasync(fd_.get());
  } while (result < 0 && errno == EINTR);
  return result < 0 ? last_error() : std::error_code{};
}

std::error_code RawFile::discard(uint64_t offset_bytes, uint64_t length_bytes) {
  if (length_bytes == 0) return {};
  const auto error =
      allocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_bytes, length_bytes);
  // Only a hint: a file system that cannot punch holes keeps the bytes.
  return unsupported(error) ? std::error_code{} : error;
}

std::error_code RawFile::write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                                      bool may_unmap) {
  if (length_bytes == 0) return {};
  const int mode = may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
  const auto error = allocate(fd_.get(), mode | FALLOC_FL_KEEP_SIZE, offset_bytes, length_bytes);
  return unsupported(error) ? write_zero_bytes(offset_bytes, length_bytes) : error;
}

std::error_code RawFile::write_zero_bytes(uint64_t offset_bytes, uint64_t length_bytes) {
  static constexpr uint64_t kChunkBytes = 64 * 1024;
  static std::array<std::byte, kChunkBytes> zeroes{};
  while (length_bytes > 0) {
    const uint64_t step = std::min(length_bytes, kChunkBytes);
    const iovec chunk{zeroes.data(), step};
    if (const auto error = write(offset_bytes, std::span(&chunk, 1))) return error;
    offset_bytes += step;
    length_bytes -= step;
  }
  return {};
}

}  // namespace vmm::backend
