// SPDX-License-Identifier: GPL-2.0-only
//
// Loads an uncompressed kernel (vmlinux): its PT_LOAD segments at their physical addresses.
// Called by load_linux().
#pragma once

#include "loader/image_file.hpp"
#include "loader/linux.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

LoadedKernel load_elf(memory::GuestMemory& memory, const ImageFile& file);

}  // namespace vmm::loader
