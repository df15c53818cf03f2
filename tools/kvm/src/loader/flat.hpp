// SPDX-License-Identifier: GPL-2.0-only
//
// Loads raw code, a file of instructions without any header, for real mode. Called by
// load_image(), and only when asked: any file would do.
#pragma once

#include "loader/image_file.hpp"
#include "loader/loaded_kernel.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

// At layout::kFlatLoad, which is where it starts. Throws when the file is too large.
LoadedKernel load_flat(memory::GuestMemory& memory, const ImageFile& file);

}  // namespace vmm::loader
