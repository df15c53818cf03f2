// SPDX-License-Identifier: GPL-2.0-only
//
// Section numbers are those of the Multiboot Specification 0.6.96.
#include "loader/multiboot.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "arch/x86_64/layout.hpp"
#include "loader/elf_file.hpp"

namespace vmm::loader {
namespace {

using memory::GuestAddress;
namespace layout = arch::layout;

// The header (3.1): found on a 4-byte boundary in the first 8 KiB.
constexpr uint64_t kSearched = 8192;
constexpr uint32_t kMagic = 0x1badb002;
constexpr uint32_t kMandatory = 0xffff;
// Modules are always page-aligned here and memory is always described.
constexpr uint32_t kUnderstood = 1U << 0 | 1U << 1;
constexpr uint32_t kHasAddresses = 1U << 16;

struct Header {
  uint32_t magic, flags, checksum;
  uint32_t header_address, load_address, load_end_address, bss_end_address, entry_address;
};
constexpr uint64_t kShortHeader = 12;  // without the address fields

struct Found {
  uint64_t offset;
  Header header;
};

std::optional<Found> find_header(const ImageFile& file) {
  std::vector<std::byte> start(std::min(file.size(), kSearched));
  file.read(0, start);
  for (uint64_t at = 0; at + kShortHeader <= start.size(); at += 4) {
    Header header{};
    const uint64_t length = std::min<uint64_t>(sizeof header, start.size() - at);
    std::memcpy(&header, start.data() + at, length);
    if (header.magic != kMagic || header.magic + header.flags + header.checksum != 0) continue;
    return Found{at, header};
  }
  return std::nullopt;
}

void check_wishes(const ImageFile& file, const Header& header) {
  const uint32_t unknown = header.flags & kMandatory & ~kUnderstood;
  if (unknown == 0) return;
  char bits[16];
  std::snprintf(bits, sizeof bits, "%#x", unknown);
  file.fail(std::string("asks for what this machine has not (multiboot flags ") + bits +
            (unknown == 4 ? ", a video mode" : "") + "); clear them in its header");
}

// The entry is a virtual address if the linker script gave a segment two addresses (3.1.3 does not
// say).
uint64_t physical_entry(const std::vector<ElfSegment>& segments, uint64_t entry) {
  for (const ElfSegment& segment : segments) {
    if (entry >= segment.virtual_address && entry - segment.virtual_address < segment.memory_size) {
      return segment.physical_address + (entry - segment.virtual_address);
    }
  }
  return entry;
}

void check_entry(const ImageFile& file, const memory::GuestMemory& memory, uint64_t entry) {
  if (entry <= UINT32_MAX && memory.slice(GuestAddress{entry}, 1)) return;
  file.fail("has its entry point outside guest memory; look at its linker script");
}

// The segment must not overlap the structures that the VMM writes for the payload.
void check_place(const ImageFile& file, const ElfSegment& segment) {
  const uint64_t start = segment.physical_address;
  const uint64_t end = start + segment.memory_size;
  if (start < layout::kMultibootInfoEnd && end > layout::kMultibootInfo) {
    file.fail("has a segment at the multiboot information's place; link it elsewhere");
  }
}

LoadedKernel from_segments(memory::GuestMemory& memory, const ImageFile& file,
                           const std::vector<ElfSegment>& segments, uint64_t entry) {
  LoadedKernel kernel;
  kernel.protocol = Protocol::kMultiboot;
  kernel.entry = entry;
  for (const ElfSegment& segment : segments) {
    check_place(file, segment);
    load_segment(memory, file, segment);
    kernel.end = std::max(kernel.end, segment.physical_address + segment.memory_size);
  }
  check_entry(file, memory, entry);
  kernel.initrd_limit = memory::GuestMemory::kLowEnd;
  kernel.command_line_max = layout::kCommandLineMax - 1;
  return kernel;
}

// The segment that the address fields describe (3.1.3).
ElfSegment addressed_segment(const ImageFile& file, const Found& found) {
  const Header& header = found.header;
  if (header.load_address > header.header_address ||
      header.header_address - header.load_address > found.offset) {
    file.fail("has multiboot addresses that begin before the file; look at its header");
  }
  ElfSegment segment;
  segment.physical_address = segment.virtual_address = header.load_address;
  segment.offset = found.offset - (header.header_address - header.load_address);
  const uint64_t rest = file.size() - segment.offset;
  if (header.load_end_address == 0) {
    segment.file_size = rest;
  } else if (header.load_end_address >= header.load_address) {
    segment.file_size = header.load_end_address - header.load_address;
  } else {
    file.fail("has multiboot addresses that end before they begin; look at its header");
  }
  segment.memory_size = segment.file_size;
  if (header.bss_end_address > header.load_address) {
    segment.memory_size =
        std::max<uint64_t>(segment.file_size, header.bss_end_address - header.load_address);
  }
  return segment;
}

}  // namespace

bool is_multiboot(const ImageFile& file) { return find_header(file).has_value(); }

LoadedKernel load_multiboot(memory::GuestMemory& memory, const ImageFile& file) {
  const auto found = find_header(file);
  if (!found) {
    file.fail(
        "has no multiboot header in its first 8 KiB; put it there, or leave out the "
        "protocol");
  }
  check_wishes(file, found->header);
  if ((found->header.flags & kHasAddresses) != 0) {
    if (file.size() - found->offset < sizeof(Header)) file.fail("ends inside its header");
    return from_segments(memory, file, {addressed_segment(file, *found)},
                         found->header.entry_address);
  }
  if (!is_elf(file)) {
    file.fail(
        "has a multiboot header without addresses and is no ELF file; set bit 16 of its "
        "flags and fill them in");
  }
  const ElfFile elf = read_elf(file);
  const std::vector<ElfSegment> segments = loadable(file, elf);
  return from_segments(memory, file, segments, physical_entry(segments, elf.entry));
}

}  // namespace vmm::loader
