// SPDX-License-Identifier: GPL-2.0-only
//
// Loads an uncompressed kernel (vmlinux), its PT_LOAD segments at their physical addresses, for its
// 64-bit entry or the entry in its PVH note. Called by load_image().
#pragma once

#include "loader/image_file.hpp"
#include "loader/loaded_kernel.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

LoadedKernel load_elf(memory::GuestMemory& memory, const ImageFile& file);

// Throws LoadError when the file has no PVH entry.
LoadedKernel load_pvh(memory::GuestMemory& memory, const ImageFile& file);

}  // namespace vmm::loader
