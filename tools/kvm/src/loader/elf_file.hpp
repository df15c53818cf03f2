// SPDX-License-Identifier: GPL-2.0-only
//
// An ELF file's program headers, 32-bit and 64-bit ones alike, and its segments on their way into
// guest memory. Used by the loaders of vmlinux, PVH and multiboot, on the set-up thread.
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

// A linked x86 program, or an x86-64 one. Throws LoadError for another architecture, an object
// file or a file without program headers.
ElfFile read_elf(const ImageFile& file);

// Those of the segments that occupy memory; at least one, or a LoadError.
std::vector<ElfSegment> loadable(const ImageFile& file, const ElfFile& elf);

// Puts the segment at its physical address; what it has no content for stays zero. Throws when
// it does not fit, naming the memory it needs.
void load_segment(memory::GuestMemory& memory, const ImageFile& file, const ElfSegment& segment);

}  // namespace vmm::loader
