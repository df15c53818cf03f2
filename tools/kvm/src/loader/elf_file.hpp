// SPDX-License-Identifier: GPL-2.0-only
//
// Reads an ELF file's program headers, 32-bit or 64-bit, and loads its segments into guest memory.
// Used by the loaders of vmlinux, PVH and multiboot, on the set-up thread.
#pragma once

#include <cstdint>
#include <vector>

#include "loader/image_file.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::loader {

struct ElfSegment {
  uint32_t type = 0;  // PT_LOAD, PT_NOTE, ...
  uint64_t offset = 0;
  uint64_t virtual_address = 0;
  uint64_t physical_address = 0;
  uint64_t file_size = 0;
  uint64_t memory_size = 0;
  uint64_t alignment = 0;
};

struct ElfFile {
  bool is_64bit = false;
  uint64_t entry = 0;
  std::vector<ElfSegment> segments;
};

bool is_elf(const ImageFile& file);

// Reads a linked x86 or x86-64 program. Throws LoadError for another architecture, an object file
// or a file without program headers.
ElfFile read_elf(const ImageFile& file);

// The segments that occupy memory. Throws LoadError if there are none.
std::vector<ElfSegment> loadable(const ImageFile& file, const ElfFile& elf);

// Loads the segment at its physical address; memory beyond its content stays zero. Throws an error
// that names the memory needed when it does not fit.
void load_segment(memory::GuestMemory& memory, const ImageFile& file, const ElfSegment& segment);

}  // namespace vmm::loader
