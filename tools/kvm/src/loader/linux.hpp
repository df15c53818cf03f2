// SPDX-License-Identifier: GPL-2.0-only
//
// Puts a Linux kernel (vmlinux or bzImage, told apart by content) and its initrd into guest
// memory. Called by machine/ once, before boot. All failures are LoadErrors for people to read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "memory/guest_memory.hpp"

namespace vmm::loader {

struct LoadedKernel {
  uint64_t entry = 0;               // guest-physical, 64-bit mode
  uint64_t end = 0;                 // first byte after all the kernel needs before it has a map
  uint64_t initrd_limit = 0;        // the initrd ends at or below this address
  uint64_t command_line_max = 0;    // without the NUL
  std::vector<std::byte> setup_header;  // of a bzImage; empty for a vmlinux
  uint64_t initrd_start = 0;
  uint64_t initrd_size = 0;
};

// An empty `initrd` path means none.
LoadedKernel load_linux(memory::GuestMemory& memory, const std::string& kernel,
                        const std::string& initrd);

}  // namespace vmm::loader
