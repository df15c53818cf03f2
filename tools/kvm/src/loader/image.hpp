// SPDX-License-Identifier: GPL-2.0-only
//
// Puts a kernel or a payload, told apart by content, and its initrd into guest memory. Called by
// machine/ once, before boot. All failures are LoadErrors for people to read.
#pragma once

#include <string>

#include "loader/loaded_kernel.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

// `wanted` of kAuto takes the file as what it is, a multiboot image or else a vmlinux or bzImage;
// PVH must be named. An empty `initrd` path means none; a payload's is its module.
LoadedKernel load_image(memory::GuestMemory& memory, Protocol wanted, const std::string& kernel,
                        const std::string& initrd);

}  // namespace vmm::loader
