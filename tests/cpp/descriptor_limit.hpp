// SPDX-License-Identifier: GPL-2.0-only
//
// Lets this process open few descriptors for as long as it lives, and counts those that are open.
#pragma once

#include <dirent.h>
#include <doctest/doctest.h>
#include <sys/resource.h>

namespace vmm::test {

class DescriptorLimit {
 public:
  // Whether this process may open that many.
  static bool possible(rlim_t most) {
    rlimit limit{};
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max >= most;
  }

  explicit DescriptorLimit(rlim_t most) {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &old_) == 0);
    const rlimit lower{most, old_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &lower) == 0);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &old_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit old_{};
};

inline size_t open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  REQUIRE(folder != nullptr);
  size_t count = 0;
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count - 3;  // without ".", ".." and the folder's descriptor
}

}  // namespace vmm::test
