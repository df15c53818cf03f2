// SPDX-License-Identifier: GPL-2.0-only
//
// Opens a file that a user named and that must hold bytes at offsets: a kernel, an initrd, a disk
// image. A path may lead anywhere, so the kind is looked at before anything is opened, and the
// opening waits for nobody: a FIFO would wait for its other end, a terminal for a carrier, and a
// device may do something when it is merely opened. Called while a machine is set up; any thread.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace vmm::base {

struct UserFile {
  UniqueFd fd;         // of a regular file or, where asked for, a block device
  int error = 0;       // otherwise: errno of the call that failed,
  std::string kind{};  // or what the path leads to instead, such as "a FIFO"
};

enum class BlockDevices { kRefused, kTaken };

// `flags` as for open(2).
UserFile open_user_file(const std::string& path, int flags, BlockDevices devices);

}  // namespace vmm::base
