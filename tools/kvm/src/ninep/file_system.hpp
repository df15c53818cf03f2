// SPDX-License-Identifier: GPL-2.0-only
//
// Tells file systems that hold somebody's files from those that show the kernel: /proc, /sys and
// their like. A share may span the former; through the latter a guest would reach the VMM itself
// (/proc/self/mem) and its host. Share asks on the thread of the request; asking is one fstatfs(2),
// which may wait for a network's file system.
#pragma once

#include <cstdint>

#include "ninep/errno.hpp"

namespace vmm::ninep {

struct FileSystem {
  bool holds_files;
  uint64_t type;  // statfs(2)'s f_type, for messages
};

// Whether a file system of this type (statfs(2)) holds files, as far as the type tells.
bool is_type_of_files(uint32_t type);

// Of the place that `fd`, which may be O_PATH, stands for.
Result<FileSystem> file_system_of(int fd);

}  // namespace vmm::ninep
