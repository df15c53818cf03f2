// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "backend/buffer_cursor.hpp"
#include "backend/file_io.hpp"
#include "backend/qcow2/format.hpp"
#include "backend/qcow2/header.hpp"
#include "base/error.hpp"
#include "base/user_file.hpp"

namespace vmm::backend::qcow2 {
namespace {

base::UniqueFd open_image(const std::string& path, bool read_only) {
  base::UserFile file =
      base::open_user_file(path, read_only ? O_RDONLY : O_RDWR, base::BlockDevices::kRefused);
  if (!file.kind.empty()) {
    refuse(path, "is " + file.kind, "a qcow2 image is a regular file");
  }
  if (!file.fd) {
    refuse(path, std::strerror(file.error),
           read_only ? "check the path, and that this user may read it"
                     : "check the path, and that this user may write it, or attach it with ,ro");
  }
  if (!claim_image(file.fd.get(), read_only)) {
    refuse(path, "another machine uses it, or another disk of this one",
           read_only ? "stop that machine, or have it use the image read-only too"
                     : "stop that machine, or put an overlay on the image for each");
  }
  return std::move(file.fd);
}

}  // namespace

ImageFile::ImageFile(const std::string& path, bool read_only)
    : path_(path), read_only_(read_only), fd_(open_image(path, read_only)), flusher_(fd_.get()) {
  struct stat info {};
  base::check(fstat(fd_.get(), &info), "fstat(" + path + ")");
  size_bytes_ = static_cast<uint64_t>(info.st_size);
  device_ = info.st_dev;
  inode_ = info.st_ino;
}

bool ImageFile::is(const std::string& path) const {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

std::error_code ImageFile::read(uint64_t offset_bytes, std::span<const iovec> into) const {
  BufferCursor buffers(into);
  const uint64_t there = offset_bytes < size_bytes_ ? size_bytes_ - offset_bytes : 0;
  if (there >= buffers.left()) return read_all(fd_.get(), offset_bytes, into);
  const auto head = buffers.take(there);
  clear(buffers.take(buffers.left()));
  return read_all(fd_.get(), offset_bytes, head);
}

std::error_code ImageFile::read(uint64_t offset_bytes, std::span<std::byte> into) const {
  const iovec buffer{into.data(), into.size()};
  return read(offset_bytes, std::span(&buffer, 1));
}

std::error_code ImageFile::write(uint64_t offset_bytes, std::span<const iovec> from) {
  if (const auto error = write_all(fd_.get(), offset_bytes, from)) return error;
  uint64_t end = offset_bytes;
  for (const iovec& buffer : from) end += buffer.iov_len;
  size_bytes_ = std::max(size_bytes_, end);
  return {};
}

std::error_code ImageFile::write(uint64_t offset_bytes, std::span<const std::byte> from) {
  const iovec buffer{const_cast<std::byte*>(from.data()), from.size()};
  return write(offset_bytes, std::span(&buffer, 1));
}

std::error_code ImageFile::read_entries(uint64_t offset_bytes, std::span<uint64_t> into) const {
  const auto error = read(offset_bytes, std::as_writable_bytes(into));
  for (uint64_t& entry : into) entry = swapped(entry);
  return error;
}

std::error_code ImageFile::write_entries(uint64_t offset_bytes, std::span<const uint64_t> from) {
  std::vector<uint64_t> on_disk(from.begin(), from.end());
  for (uint64_t& entry : on_disk) entry = swapped(entry);
  return write(offset_bytes, std::as_bytes(std::span(on_disk)));
}

bool ImageFile::is_hole(uint64_t offset_bytes, uint64_t length_bytes) const {
  const off_t data = lseek(fd_.get(), static_cast<off_t>(offset_bytes), SEEK_DATA);
  if (data < 0) return errno == ENXIO;
  return static_cast<uint64_t>(data) >= offset_bytes + length_bytes;
}

void ImageFile::punch(uint64_t offset_bytes, uint64_t length_bytes) {
  static_cast<void>(
      allocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_bytes, length_bytes));
}

}  // namespace vmm::backend::qcow2
