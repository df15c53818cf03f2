// SPDX-License-Identifier: GPL-2.0-only
//
// Loads raw code, a file of instructions without any header, for real mode. Called by load_image(),
// and only on request, as any file would be valid.
#pragma once

#include "loader/image_file.hpp"
#include "loader/loaded_kernel.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

// Loads the file at layout::kFlatLoad, where it also starts. Throws when it is too large.
LoadedKernel load_flat(memory::GuestMemory& memory, const ImageFile& file);

}  // namespace vmm::loader
