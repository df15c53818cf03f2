// SPDX-License-Identifier: GPL-2.0-only
//
// The note with the entry point of an ELF kernel as a PVH guest: Xen's XEN_ELFNOTE_PHYS32_ENTRY
// (docs/misc/pvh.pandoc in Xen's tree). Called by load_pvh().
#pragma once

#include <cstdint>
#include <optional>

#include "loader/elf_file.hpp"
#include "loader/image_file.hpp"

namespace vmm::loader {

// The physical address of the entry; nothing when there is no such note.
std::optional<uint64_t> pvh_entry(const ImageFile& file, const ElfFile& elf);

}  // namespace vmm::loader
