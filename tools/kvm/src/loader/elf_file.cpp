// SPDX-License-Identifier: GPL-2.0-only
#include "loader/elf_file.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "arch/x86_64/layout.hpp"

namespace vmm::loader {
namespace {

using arch::layout::kMiB;
using memory::GuestAddress;

template <class Header>
void check_header(const ImageFile& file, const Header& header, uint16_t machine,
                  size_t segment_size) {
  if (header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != machine) {
    const char* width = sizeof(Header) == sizeof(Elf64_Ehdr) ? "64-bit" : "32-bit";
    file.fail("is a " + std::string(width) + " ELF file for another architecture (e_machine " +
              std::to_string(header.e_machine) + "); build the kernel with ARCH=x86_64");
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
    file.fail("is an object file or core dump, not a linked vmlinux");
  }
  if (header.e_phentsize != segment_size || header.e_phnum == 0) {
    file.fail("has no program headers; use the vmlinux at the top of the build folder");
  }
}

// Both classes have the same fields, in different order and width.
template <class Header, class Segment>
ElfFile read_class(const ImageFile& file, uint16_t machine) {
  const auto header = file.read_object<Header>(0);
  check_header(file, header, machine, sizeof(Segment));
  std::vector<Segment> raw(header.e_phnum);
  file.read(header.e_phoff, std::as_writable_bytes(std::span(raw)));
  ElfFile elf;
  elf.entry = header.e_entry;
  for (const Segment& from : raw) {
    elf.segments.push_back({from.p_type, from.p_offset, from.p_vaddr, from.p_paddr, from.p_filesz,
                            from.p_memsz, from.p_align});
  }
  return elf;
}

}  // namespace

bool is_elf(const ImageFile& file) {
  std::array<std::byte, SELFMAG> magic{};
  file.read(0, std::span(magic).first(std::min<uint64_t>(file.size(), magic.size())));
  return std::memcmp(magic.data(), ELFMAG, SELFMAG) == 0;
}

ElfFile read_elf(const ImageFile& file) {
  const auto ident = file.read_object<std::array<unsigned char, EI_NIDENT>>(0);
  if (ident[EI_CLASS] == ELFCLASS64) {
    ElfFile elf = read_class<Elf64_Ehdr, Elf64_Phdr>(file, EM_X86_64);
    elf.is_64bit = true;
    return elf;
  }
  return read_class<Elf32_Ehdr, Elf32_Phdr>(file, EM_386);
}

std::vector<ElfSegment> loadable(const ImageFile& file, const ElfFile& elf) {
  std::vector<ElfSegment> all = elf.segments;
  std::erase_if(all, [](const ElfSegment& segment) {
    return segment.type != PT_LOAD || segment.memory_size == 0;
  });
  if (all.empty()) file.fail("has no PT_LOAD segment, so nothing to boot");
  return all;
}

void load_segment(memory::GuestMemory& memory, const ImageFile& file, const ElfSegment& segment) {
  if (segment.file_size > segment.memory_size) file.fail("has a segment larger than its memory");
  // Guest memory starts as zeroes, so bss needs no writing.
  const auto place = memory.slice(GuestAddress{segment.physical_address}, segment.memory_size);
  if (!place) {
    const uint64_t end = segment.physical_address + segment.memory_size;
    if (end < segment.physical_address) file.fail("has a segment that wraps");
    file.fail("does not fit: it needs " + std::to_string((end + kMiB - 1) / kMiB) +
              " MiB of guest memory, there are " + std::to_string(memory.size() / kMiB) +
              " MiB; raise --memory");
  }
  file.read(segment.offset, place->first(segment.file_size));
}

}  // namespace vmm::loader
