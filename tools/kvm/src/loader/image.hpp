// SPDX-License-Identifier: GPL-2.0-only
//
// Loads a kernel or a payload, distinguished by content, and its initrd into guest memory. Called
// by machine/ once, before boot. All failures are LoadErrors with readable messages.
#pragma once

#include <string>

#include "loader/loaded_kernel.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

// kAuto detects the kind of the file: a multiboot image, else a vmlinux or bzImage; PVH must be
// requested. An empty `initrd` path means none; for a payload it is its module.
LoadedKernel load_image(memory::GuestMemory& memory, Protocol wanted, const std::string& kernel,
                        const std::string& initrd);

}  // namespace vmm::loader
