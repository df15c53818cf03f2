// SPDX-License-Identifier: GPL-2.0-only
#include "loader/elf.hpp"

#include <algorithm>
#include <vector>

#include "arch/x86_64/layout.hpp"
#include "loader/elf_file.hpp"
#include "loader/pvh_note.hpp"

namespace vmm::loader {
namespace {

using arch::layout::kHighRamStart;
using arch::layout::kMiB;

// COMMAND_LINE_SIZE of x86 less the NUL (arch/x86/include/asm/setup.h).
constexpr uint64_t kCommandLineMax = 2047;
// The kernel's early brk area and page tables follow its image.
constexpr uint64_t kEarlyAllocations = 2 * kMiB;
constexpr uint64_t kInitrdLimit = 1ULL << 31;

bool holds(const ElfSegment& segment, uint64_t address) {
  return address >= segment.physical_address &&
         address - segment.physical_address < segment.file_size;
}

LoadedKernel load_segments(memory::GuestMemory& memory, const ImageFile& file,
                           const std::vector<ElfSegment>& segments, uint64_t entry) {
  if (std::none_of(segments.begin(), segments.end(),
                   [&](const ElfSegment& segment) { return holds(segment, entry); })) {
    file.fail("has its entry point outside its segments: not a Linux kernel");
  }
  LoadedKernel kernel;
  kernel.entry = entry;
  for (const ElfSegment& segment : segments) {
    if (segment.physical_address < kHighRamStart) {
      file.fail("has a segment below 1 MiB: not a Linux kernel");
    }
    load_segment(memory, file, segment);
    kernel.end = std::max(kernel.end, segment.physical_address + segment.memory_size);
  }
  kernel.end += kEarlyAllocations;
  kernel.initrd_limit = kInitrdLimit;
  kernel.command_line_max = kCommandLineMax;
  return kernel;
}

}  // namespace

LoadedKernel load_elf(memory::GuestMemory& memory, const ImageFile& file) {
  const ElfFile elf = read_elf(file);
  if (!elf.is_64bit) {
    file.fail(
        "is a 32-bit ELF file without a multiboot header; an x86-64 vmlinux or a bzImage "
        "is needed");
  }
  return load_segments(memory, file, loadable(file, elf), elf.entry);
}

LoadedKernel load_pvh(memory::GuestMemory& memory, const ImageFile& file) {
  if (!is_elf(file)) file.fail("is no ELF file, so it has no PVH entry; pass a vmlinux");
  const ElfFile elf = read_elf(file);
  const auto entry = pvh_entry(file, elf);
  if (!entry) {
    file.fail(
        "has no PVH entry (XEN_ELFNOTE_PHYS32_ENTRY); build the kernel with CONFIG_PVH=y, "
        "or leave out the protocol");
  }
  LoadedKernel kernel = load_segments(memory, file, loadable(file, elf), *entry);
  kernel.protocol = Protocol::kPvh;
  return kernel;
}

}  // namespace vmm::loader
