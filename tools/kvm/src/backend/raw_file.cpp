// SPDX-License-Identifier: GPL-2.0-only
#include "backend/raw_file.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "backend/direct_io.hpp"
#include "backend/file_io.hpp"
#include "base/error.hpp"
#include "base/user_file.hpp"

namespace vmm::backend {
namespace {

std::string mend_for(int error, bool read_only) {
  switch (error) {
    case ENOENT:
      return "create it first, for example with: truncate -s 1G FILE";
    case EACCES:
    case EPERM:
    case EROFS:
      return read_only ? "make it readable for this user"
                       : "make it writable for this user, or attach the disk read-only";
    default:
      return "check the path";
  }
}

base::UniqueFd open_image(const std::string& path, bool read_only, bool direct) {
  const int flags = (read_only ? O_RDONLY : O_RDWR) | (direct ? O_DIRECT : 0);
  base::UserFile file = base::open_user_file(path, flags, base::BlockDevices::kTaken);
  if (file.fd) {
    if (claim_image(file.fd.get(), read_only)) return std::move(file.fd);
    throw base::ConfigError(
        "disk " + path +
        ": another machine uses it, or another disk of this one; stop that machine, or attach "
        "it read-only everywhere");
  }
  if (!file.kind.empty()) {
    throw base::ConfigError("disk " + path + ": is " + file.kind +
                            ", neither a file nor a block device; name a raw image");
  }
  if (direct && file.error == EINVAL) {
    throw base::ConfigError("disk " + path +
                            ": its file system knows no O_DIRECT; leave out direct");
  }
  throw base::ConfigError("disk " + path + ": " + std::strerror(file.error) + "; " +
                          mend_for(file.error, read_only));
}

uint64_t image_size(int fd, const std::string& path, uint32_t block_bytes) {
  struct stat info {};
  base::check(fstat(fd, &info), "fstat(" + path + ")");
  uint64_t size = static_cast<uint64_t>(info.st_size);
  if (S_ISBLK(info.st_mode)) {
    base::check(ioctl(fd, BLKGETSIZE64, &size), "ioctl(" + path + ", BLKGETSIZE64)");
  }
  if (size % block_bytes == 0) return size;
  const uint64_t rounded = (size / block_bytes + 1) * block_bytes;
  throw base::ConfigError("disk " + path + ": its size, " + std::to_string(size) +
                          " bytes, is not a multiple of " + std::to_string(block_bytes) +
                          "; grow it with: truncate -s " + std::to_string(rounded) + " FILE");
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

RawFile::RawFile(const std::string& path, bool read_only, bool direct, std::unique_ptr<IoRing> ring)
    : direct_(direct),
      fd_(open_image(path, read_only, direct)),
      flusher_(fd_.get()),
      block_bytes_(direct ? direct_block_bytes(fd_.get()) : kSectorBytes),
      size_bytes_(image_size(fd_.get(), path, block_bytes_)),
      read_only_(read_only),
      identity_(base_name(path)),
      ring_(std::move(ring)) {}

std::error_code RawFile::read(uint64_t offset_bytes, std::span<const iovec> into) {
  if (direct_) return read_direct(fd_.get(), block_bytes_, offset_bytes, into);
  return read_all(fd_.get(), offset_bytes, into);
}

std::error_code RawFile::write(uint64_t offset_bytes, std::span<const iovec> from) {
  if (direct_) return write_direct(fd_.get(), block_bytes_, offset_bytes, from);
  return write_all(fd_.get(), offset_bytes, from);
}

std::error_code RawFile::flush() { return read_only_ ? std::error_code{} : flusher_.flush(); }

// Most reads find their bytes in the page cache, where a copy takes less time than a request to the
// ring.
BlockBackend::Result RawFile::begin_read(uint64_t offset_bytes, std::span<const iovec> into,
                                         Done done) {
  if (ring_ == nullptr || (direct_ && !is_aligned(into, block_bytes_))) {
    return read(offset_bytes, into);
  }
  if (!direct_) {
    switch (cache_tells_ ? read_cached(fd_.get(), offset_bytes, into) : Cached::kUnknown) {
      case Cached::kRead:
        return std::error_code{};
      case Cached::kUnknown:
        cache_tells_ = false;
        return read(offset_bytes, into);
      case Cached::kMissing:
        break;
    }
  }
  if (ring_->read(fd_.get(), offset_bytes, into, done)) return std::nullopt;
  return read(offset_bytes, into);
}

// Writes go to the page cache, without waiting for the disk.
BlockBackend::Result RawFile::begin_write(uint64_t offset_bytes, std::span<const iovec> from,
                                          Done done) {
  const bool waits = direct_ && is_aligned(from, block_bytes_);
  if (ring_ != nullptr && waits && ring_->write(fd_.get(), offset_bytes, from, done)) {
    return std::nullopt;
  }
  return write(offset_bytes, from);
}

bool RawFile::begin_flush(Done& done) {
  return ring_ != nullptr && !read_only_ && flusher_.begin(*ring_, done);
}

void RawFile::drain() {
  if (ring_ != nullptr) ring_->drain();
}

std::error_code RawFile::discard(uint64_t offset_bytes, uint64_t length_bytes) {
  if (length_bytes == 0) return {};
  const auto error =
      allocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_bytes, length_bytes);
  // Only a hint: a file system that cannot punch holes keeps the bytes.
  return is_unsupported(error) ? std::error_code{} : error;
}

std::error_code RawFile::write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                                      bool may_unmap) {
  if (length_bytes == 0) return {};
  const int mode = may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
  const auto error = allocate(fd_.get(), mode | FALLOC_FL_KEEP_SIZE, offset_bytes, length_bytes);
  return is_unsupported(error) ? write_zero_bytes(offset_bytes, length_bytes) : error;
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
