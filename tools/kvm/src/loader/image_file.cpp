// SPDX-License-Identifier: GPL-2.0-only
#include "loader/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/user_file.hpp"

namespace vmm::loader {
namespace {

std::string error_text(int error) { return std::generic_category().message(error); }

}  // namespace

ImageFile::ImageFile(std::string role, std::string path)
    : role_(std::move(role)), path_(std::move(path)) {
  base::UserFile file = base::open_user_file(path_, O_RDONLY, base::BlockDevices::kRefused);
  if (!file.kind.empty()) fail("is not a regular file but " + file.kind);
  if (!file.fd) fail(error_text(file.error));
  fd_ = std::move(file.fd);
  struct stat status {};
  if (fstat(fd_.get(), &status) < 0) fail(error_text(errno));
  if (status.st_size == 0) fail("is empty; build it again");
  size_ = static_cast<uint64_t>(status.st_size);
}

void ImageFile::read(uint64_t offset, std::span<std::byte> into) const {
  if (offset > size_ || into.size() > size_ - offset) {
    fail("is truncated: it should reach " + std::to_string(offset + into.size()) +
         " bytes and has " + std::to_string(size_) + "; build or copy it again");
  }
  while (!into.empty()) {
    const ssize_t count = pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read: " + error_text(errno));
    if (count == 0) fail("shrank while it was read; is a build still running?");
    into = into.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

void ImageFile::fail(const std::string& what) const {
  throw base::LoadError(role_ + " " + path_ + ": " + what);
}

}  // namespace vmm::loader
