// SPDX-License-Identifier: GPL-2.0-only
//
// Loads a Multiboot 1 image, such as the payloads of kvm-unit-tests: an ELF file of either class,
// or any file whose header has its load address. Called by load_image().
#pragma once

#include "loader/image_file.hpp"
#include "loader/loaded_kernel.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

// Whether the file has a header in its first 8 KiB, as the specification requires.
bool is_multiboot(const ImageFile& file);

// Throws LoadError, also for a header that requests a feature this machine lacks.
LoadedKernel load_multiboot(memory::GuestMemory& memory, const ImageFile& file);

}  // namespace vmm::loader
