// SPDX-License-Identifier: GPL-2.0-only
//
// Stands between the program and the host's calls on a file: counts them, keeps what no sync has
// made stable, and has chosen ones fail as a disk's do. All others are the kernel's. One at a time,
// while one thread makes such calls; what goes through io_uring does not pass here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace vmm::test {

class HostCalls {
 public:
  // `path`: of the one file whose calls count; it is there.
  explicit HostCalls(const std::string& path);
  ~HostCalls();
  HostCalls(const HostCalls&) = delete;
  HostCalls& operator=(const HostCalls&) = delete;

  // What becomes of a call: an error with nothing done, with all done, or with a half of it done.
  enum class Fault { kNone, kRefused, kDone, kHalf };

  // Asked with the call's number, from 0, and how many there were.
  std::function<Fault(int)> write_fault;
  std::function<Fault(int)> sync_fault;
  int writes = 0;
  int syncs = 0;
  uint64_t read_bytes = 0;
  bool knows_holes = true;  // as a file system that finds data (SEEK_DATA)

  struct Change {
    uint64_t offset;
    std::string bytes;
  };
  std::vector<Change> unsynced;
  std::function<void()> on_sync;  // before what is unsynced is forgotten

  // Whether a call is on the file.
  bool concerns(int fd) const;

 private:
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace vmm::test
