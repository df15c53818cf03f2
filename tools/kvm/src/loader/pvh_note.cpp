// SPDX-License-Identifier: GPL-2.0-only
#include "loader/pvh_note.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace vmm::loader {
namespace {

constexpr uint32_t kPhys32Entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr std::string_view kOwner{"Xen\0", 4};
constexpr uint64_t kMaxNotes = 1 << 20;

// Takes the next `length` bytes, padded to `alignment`; nothing when the notes end before.
std::optional<std::span<const std::byte>> take(std::span<const std::byte>& rest, uint64_t length,
                                               uint64_t alignment) {
  if (length > rest.size()) return std::nullopt;
  const auto taken = rest.first(length);
  const uint64_t padded = (length + alignment - 1) / alignment * alignment;
  rest = rest.subspan(std::min<uint64_t>(padded, rest.size()));
  return taken;
}

bool is_ours(const Elf64_Nhdr& note, std::span<const std::byte> owner) {
  return note.n_type == kPhys32Entry && owner.size() == kOwner.size() &&
         std::memcmp(owner.data(), kOwner.data(), kOwner.size()) == 0;
}

// `value` has four bytes, or eight for a 64-bit kernel; the entry is below 4 GiB.
std::optional<uint64_t> address_of(std::span<const std::byte> value) {
  uint64_t address = 0;
  if (value.size() != 4 && value.size() != sizeof address) return std::nullopt;
  std::memcpy(&address, value.data(), value.size());
  if (address > UINT32_MAX) return std::nullopt;
  return address;
}

std::optional<uint64_t> search(std::span<const std::byte> rest, uint64_t alignment) {
  // The note header is the same in both classes: three words.
  while (const auto head = take(rest, sizeof(Elf64_Nhdr), 4)) {
    Elf64_Nhdr note;
    std::memcpy(&note, head->data(), sizeof note);
    const auto owner = take(rest, note.n_namesz, alignment);
    const auto value = owner ? take(rest, note.n_descsz, alignment) : std::nullopt;
    if (!value) return std::nullopt;
    if (is_ours(note, *owner)) return address_of(*value);
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> pvh_entry(const ImageFile& file, const ElfFile& elf) {
  for (const ElfSegment& segment : elf.segments) {
    if (segment.type != PT_NOTE) continue;
    if (segment.file_size > kMaxNotes) file.fail("has notes of more than 1 MiB: it is damaged");
    std::vector<std::byte> notes(segment.file_size);
    file.read(segment.offset, notes);
    if (const auto entry = search(notes, segment.alignment == 8 ? 8 : 4)) return entry;
  }
  return std::nullopt;
}

}  // namespace vmm::loader
