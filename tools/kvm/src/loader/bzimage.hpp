// SPDX-License-Identifier: GPL-2.0-only
//
// Loads a compressed kernel (bzImage) for its 64-bit entry point; it unpacks itself in the guest.
// Called by load_image().
#pragma once

#include "loader/image_file.hpp"
#include "loader/loaded_kernel.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

// Whether the file has a bzImage header, of any version.
bool is_bzimage(const ImageFile& file);

LoadedKernel load_bzimage(memory::GuestMemory& memory, const ImageFile& file);

}  // namespace vmm::loader
