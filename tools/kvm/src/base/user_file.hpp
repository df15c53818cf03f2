// SPDX-License-Identifier: GPL-2.0-only
//
// Opens a file that a user named and that must hold bytes at offsets: a kernel, an initrd, a disk
// image. A path may lead anywhere, so its kind is checked before it is opened, and opening never
// blocks: a FIFO would wait for its other end, a terminal for a carrier, and some devices act when
// they are merely opened. Called while a machine is set up; any thread.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace vmm::base {

struct UserFile {
  UniqueFd fd;         // a regular file or, if requested, a block device
  int error = 0;       // otherwise the errno of the call that failed,
  std::string kind{};  // or the kind of file at the path, such as "a FIFO"
};

enum class BlockDevices { kRefused, kTaken };

// `flags` as for open(2).
UserFile open_user_file(const std::string& path, int flags, BlockDevices devices);

}  // namespace vmm::base
