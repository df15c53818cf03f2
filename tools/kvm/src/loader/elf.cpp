// SPDX-License-Identifier: GPL-2.0-only
#include "loader/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "arch/x86_64/layout.hpp"

namespace vmm::loader {
namespace {

using arch::layout::kHighRamStart;
using arch::layout::kMiB;
using memory::GuestAddress;

// COMMAND_LINE_SIZE of x86 less the NUL (arch/x86/include/asm/setup.h).
constexpr uint64_t kCommandLineMax = 2047;
// The kernel's early brk area and page tables follow its image.
constexpr uint64_t kEarlyAllocations = 2 * kMiB;
constexpr uint64_t kInitrdLimit = 1ULL << 31;

Elf64_Ehdr read_header(const ImageFile& file) {
  const auto ident = file.read_object<std::array<unsigned char, EI_NIDENT>>(0);
  if (ident[EI_CLASS] != ELFCLASS64) {
    file.fail("is a 32-bit ELF file; an x86-64 vmlinux or a bzImage is needed");
  }
  const auto header = file.read_object<Elf64_Ehdr>(0);
  if (ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64) {
    file.fail("is an ELF file for another architecture (e_machine " +
              std::to_string(header.e_machine) + "); build the kernel with ARCH=x86_64");
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
    file.fail("is an object file or core dump, not a linked vmlinux");
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) {
    file.fail("has no program headers; use the vmlinux at the top of the build folder");
  }
  return header;
}

std::vector<Elf64_Phdr> read_segments(const ImageFile& file, const Elf64_Ehdr& header) {
  std::vector<Elf64_Phdr> all(header.e_phnum);
  file.read(header.e_phoff, std::as_writable_bytes(std::span(all)));
  std::erase_if(all, [](const Elf64_Phdr& segment) {
    return segment.p_type != PT_LOAD || segment.p_memsz == 0;
  });
  if (all.empty()) file.fail("has no PT_LOAD segment, so nothing to boot");
  return all;
}

void load_segment(memory::GuestMemory& memory, const ImageFile& file, const Elf64_Phdr& segment) {
  if (segment.p_filesz > segment.p_memsz) file.fail("has a segment larger than its memory");
  if (segment.p_paddr < kHighRamStart) {
    file.fail("has a segment below 1 MiB: not a Linux kernel");
  }
  // Guest memory starts as zeroes, so bss needs no writing.
  const auto place = memory.slice(GuestAddress{segment.p_paddr}, segment.p_memsz);
  if (!place) {
    if (segment.p_paddr + segment.p_memsz < segment.p_paddr) file.fail("has a segment that wraps");
    const uint64_t needed = (segment.p_paddr + segment.p_memsz + kMiB - 1) / kMiB;
    file.fail("does not fit: it needs " + std::to_string(needed) +
              " MiB of guest memory, there are " + std::to_string(memory.size() / kMiB) +
              " MiB; raise --memory");
  }
  file.read(segment.p_offset, place->first(segment.p_filesz));
}

bool holds(const Elf64_Phdr& segment, uint64_t address) {
  return address >= segment.p_paddr && address - segment.p_paddr < segment.p_filesz;
}

}  // namespace

LoadedKernel load_elf(memory::GuestMemory& memory, const ImageFile& file) {
  const Elf64_Ehdr header = read_header(file);
  const std::vector<Elf64_Phdr> segments = read_segments(file, header);
  if (std::none_of(segments.begin(), segments.end(), [&](const Elf64_Phdr& segment) {
        return holds(segment, header.e_entry);
      })) {
    file.fail("has its entry point outside its segments: not a Linux kernel");
  }
  LoadedKernel kernel;
  kernel.entry = header.e_entry;
  for (const Elf64_Phdr& segment : segments) {
    load_segment(memory, file, segment);
    kernel.end = std::max(kernel.end, segment.p_paddr + segment.p_memsz);
  }
  kernel.end += kEarlyAllocations;
  kernel.initrd_limit = kInitrdLimit;
  kernel.command_line_max = kCommandLineMax;
  return kernel;
}

}  // namespace vmm::loader
