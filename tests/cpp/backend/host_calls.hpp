// SPDX-License-Identifier: GPL-2.0-only
//
// Intercepts the system calls on one file: counts them, records the data that no sync has made
// stable, and makes chosen calls fail like a disk's. Calls on other files go to the kernel. One
// object at a time, while one thread makes such calls; requests through io_uring are not
// intercepted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace vmm::test {

class HostCalls {
 public:
  // `path`: the file whose calls are intercepted; it must exist.
  explicit HostCalls(const std::string& path);
  ~HostCalls();
  HostCalls(const HostCalls&) = delete;
  HostCalls& operator=(const HostCalls&) = delete;

  // The result of a call: success, or an error with nothing done, with all done, or with half of it
  // done.
  enum class Fault { kNone, kRefused, kDone, kHalf };

  // Called with the call's number, from 0; and the number of calls so far.
  std::function<Fault(int)> write_fault;
  std::function<Fault(int)> sync_fault;
  int writes = 0;
  int syncs = 0;
  uint64_t read_bytes = 0;
  bool knows_holes = true;  // like a file system with SEEK_DATA

  struct Change {
    uint64_t offset;
    std::string bytes;
  };
  std::vector<Change> unsynced;
  std::function<void()> on_sync;  // called before the record of unsynced data is cleared

  // Whether `fd` is the file.
  bool concerns(int fd) const;

 private:
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace vmm::test
