// SPDX-License-Identifier: GPL-2.0-only
#include "host_calls.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vmm::test {
namespace {

using Fault = HostCalls::Fault;

HostCalls* current = nullptr;

bool is_watched(int fd) { return current != nullptr && current->concerns(fd); }

int refuse() {
  errno = EIO;
  return -1;
}

std::string bytes_of(const iovec* buffers, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes.append(static_cast<const char*>(buffers[i].iov_base), buffers[i].iov_len);
  }
  return bytes;
}

ssize_t write_and_note(int fd, const std::string& bytes, off_t offset) {
  const ssize_t done = syscall(SYS_pwrite64, fd, bytes.data(), bytes.size(), offset);
  if (done > 0) {
    current->unsynced.push_back(
        {static_cast<uint64_t>(offset), bytes.substr(0, static_cast<size_t>(done))});
  }
  return done;
}

}  // namespace

HostCalls::HostCalls(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  device_ = info.st_dev;
  inode_ = info.st_ino;
  REQUIRE(current == nullptr);
  current = this;
}

bool HostCalls::concerns(int fd) const {
  struct stat info {};
  return fstat(fd, &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

HostCalls::~HostCalls() { current = nullptr; }

}  // namespace vmm::test

// The linker uses these instead of the C library's functions.
extern "C" {

using vmm::test::current;
using vmm::test::Fault;
using vmm::test::is_watched;

ssize_t preadv(int fd, const iovec* buffers, int count, off_t offset) {
  const ssize_t done = syscall(SYS_preadv, fd, buffers, count, offset, 0);
  if (done > 0 && is_watched(fd)) current->read_bytes += static_cast<uint64_t>(done);
  return done;
}

ssize_t pwritev(int fd, const iovec* buffers, int count, off_t offset) {
  if (!is_watched(fd)) return syscall(SYS_pwritev, fd, buffers, count, offset, 0);
  const int number = current->writes++;
  const Fault fault = current->write_fault ? current->write_fault(number) : Fault::kNone;
  if (fault == Fault::kRefused) return vmm::test::refuse();
  const std::string bytes = vmm::test::bytes_of(buffers, count);
  const size_t length = fault == Fault::kHalf ? bytes.size() / 2 : bytes.size();
  const ssize_t done = vmm::test::write_and_note(fd, bytes.substr(0, length), offset);
  return fault == Fault::kNone ? done : vmm::test::refuse();
}

int fdatasync(int fd) {
  if (!is_watched(fd)) return static_cast<int>(syscall(SYS_fdatasync, fd));
  const int number = current->syncs++;
  const Fault fault = current->sync_fault ? current->sync_fault(number) : Fault::kNone;
  if (fault != Fault::kNone) return vmm::test::refuse();
  if (current->on_sync) current->on_sync();
  current->unsynced.clear();
  return 0;  // no test data has to survive a power cut, and a real sync takes long
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  if (is_watched(fd) && (mode & FALLOC_FL_PUNCH_HOLE)) {
    current->unsynced.push_back(
        {static_cast<uint64_t>(offset), std::string(static_cast<size_t>(length), '\0')});
  }
  return static_cast<int>(syscall(SYS_fallocate, fd, mode, offset, length));
}

off_t lseek(int fd, off_t offset, int whence) noexcept {
  if (whence == SEEK_DATA && is_watched(fd) && !current->knows_holes) return offset;
  return syscall(SYS_lseek, fd, offset, whence);
}

}  // extern "C"
