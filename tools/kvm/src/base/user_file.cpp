// SPDX-License-Identifier: GPL-2.0-only
#include "base/user_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace vmm::base {
namespace {

// Returns an empty string for a file that may be opened.
std::string wrong_kind(mode_t mode, BlockDevices devices) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "";
    case S_IFBLK:
      return devices == BlockDevices::kTaken ? "" : "a block device";
    case S_IFDIR:
      return "a folder";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
      return "a character device";
    default:
      return "no regular file";
  }
}

UserFile failed() { return {UniqueFd(), errno}; }

}  // namespace

UserFile open_user_file(const std::string& path, int flags, BlockDevices devices) {
  struct stat info {};
  if (stat(path.c_str(), &info) < 0) return failed();
  if (auto kind = wrong_kind(info.st_mode, devices); !kind.empty()) return {UniqueFd(), 0, kind};
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd || fstat(fd.get(), &info) < 0) return failed();
  // The path may have been replaced by another file meanwhile.
  if (auto kind = wrong_kind(info.st_mode, devices); !kind.empty()) return {UniqueFd(), 0, kind};
  // io_uring returns EAGAIN instead of waiting for a file with O_NONBLOCK.
  const int status = fcntl(fd.get(), F_GETFL);
  if (status < 0 || fcntl(fd.get(), F_SETFL, status & ~O_NONBLOCK) < 0) return failed();
  return {std::move(fd)};
}

}  // namespace vmm::base
