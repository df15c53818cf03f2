// SPDX-License-Identifier: GPL-2.0-only
//
// Distinguishes file systems with ordinary files from those that expose the kernel, such as /proc
// and /sys. A share may span the former; through the latter a guest would reach the VMM itself
// (/proc/self/mem) and its host. Share calls this on the thread of the request; it costs one
// fstatfs(2), which may wait for a network file system.
#pragma once

#include <cstdint>

#include "ninep/errno.hpp"

namespace vmm::ninep {

struct FileSystem {
  bool holds_files;
  uint64_t type;  // statfs(2)'s f_type, for messages
};

// Whether a file system of this type (statfs(2)) holds ordinary files, as far as the type shows.
bool is_type_of_files(uint32_t type);

// The file system of the place that `fd`, which may be O_PATH, refers to.
Result<FileSystem> file_system_of(int fd);

}  // namespace vmm::ninep
