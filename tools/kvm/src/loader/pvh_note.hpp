// SPDX-License-Identifier: GPL-2.0-only
//
// The note by which an ELF kernel says where it is entered as a PVH guest: Xen's
// XEN_ELFNOTE_PHYS32_ENTRY (docs/misc/pvh.pandoc in Xen's tree). Called by load_pvh().
#pragma once

#include <cstdint>
#include <optional>

#include "loader/elf_file.hpp"
#include "loader/image_file.hpp"

namespace vmm::loader {

// The physical address of the entry; nothing when no note names one.
std::optional<uint64_t> pvh_entry(const ImageFile& file, const ElfFile& elf);

}  // namespace vmm::loader
