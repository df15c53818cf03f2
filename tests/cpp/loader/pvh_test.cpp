// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <elf.h>

#include <array>
#include <cstring>

#include "loader/elf.hpp"
#include "loader/pvh_note.hpp"
#include "temporary_file.hpp"

namespace vmm::loader {
namespace {

using test::contains;
using test::failure_of;
using test::put;

constexpr uint64_t kMiB = 1 << 20;
constexpr size_t kNotesAt = 0x200;

// A vmlinux whose notes are another program's, then Xen's.
struct Image {
  Elf64_Ehdr header{};
  std::array<Elf64_Phdr, 2> segments{};
  std::vector<std::byte> notes;

  Image() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_entry = 16 * kMiB;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    segments[0].p_type = PT_LOAD;
    segments[0].p_paddr = 16 * kMiB;
    segments[0].p_filesz = segments[0].p_memsz = 0x100;
    segments[1].p_type = PT_NOTE;
    segments[1].p_offset = kNotesAt;
    segments[1].p_align = 4;
  }

  void add_note(uint32_t type, const std::string& owner, const std::vector<std::byte>& value) {
    const auto pad = [&] { notes.resize((notes.size() + 3) / 4 * 4); };
    const std::array<uint32_t, 3> head = {static_cast<uint32_t>(owner.size() + 1),
                                          static_cast<uint32_t>(value.size()), type};
    put(notes, notes.size(), head);
    const auto text = std::as_bytes(std::span(owner.c_str(), owner.size() + 1));
    notes.insert(notes.end(), text.begin(), text.end());
    pad();
    notes.insert(notes.end(), value.begin(), value.end());
    pad();
  }

  std::vector<std::byte> bytes() {
    segments[1].p_filesz = notes.size();
    std::vector<std::byte> all;
    put(all, 0, header);
    put(all, sizeof header, segments);
    all.resize(kNotesAt);
    all.insert(all.end(), notes.begin(), notes.end());
    return all;
  }
};

std::vector<std::byte> address(uint64_t value, size_t size) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  bytes.resize(size);
  return bytes;
}

std::optional<uint64_t> entry(Image& image) {
  const test::TemporaryFile file(image.bytes());
  const ImageFile opened("kernel", file.path());
  return pvh_entry(opened, read_elf(opened));
}

}  // namespace

TEST_CASE("the entry is found behind other notes, in four bytes or eight") {
  for (const size_t size : {4U, 8U}) {
    Image image;
    image.add_note(18, "GNU", address(1, 4));
    image.add_note(3, "Xen", address(2, 3));
    image.add_note(18, "Xen", address(16 * kMiB + 0x40, size));
    CHECK(entry(image) == 16 * kMiB + 0x40);
  }
}

TEST_CASE("a note that is none, or names an address no PVH entry can have, is no entry") {
  Image image;
  CHECK_FALSE(entry(image));
  image.add_note(18, "Xenon", address(16 * kMiB, 4));
  CHECK_FALSE(entry(image));
  image.add_note(18, "Xen", address(1ULL << 32, 8));
  CHECK_FALSE(entry(image));
}

TEST_CASE("lengths beyond the notes' end are not followed") {
  Image image;
  image.add_note(18, "Xen", address(16 * kMiB, 4));
  image.notes.resize(image.notes.size() - 1);
  CHECK_FALSE(entry(image));
  Image huge;
  put(huge.notes, 0, std::array<uint32_t, 3>{0xfffffffd, 0xfffffffd, 18});
  CHECK_FALSE(entry(huge));
  huge.notes.resize(8);
  CHECK_FALSE(entry(huge));
}

TEST_CASE("a kernel is loaded for its PVH entry, or refused with the reason") {
  Image image;
  image.add_note(18, "Xen", address(16 * kMiB + 0x40, 8));
  {
    const test::TemporaryFile file(image.bytes());
    memory::GuestMemory memory(32 * kMiB);
    const LoadedKernel kernel = load_pvh(memory, ImageFile("kernel", file.path()));
    CHECK(kernel.protocol == Protocol::kPvh);
    CHECK(kernel.entry == 16 * kMiB + 0x40);
  }
  const auto failure = [](const std::vector<std::byte>& bytes) {
    const test::TemporaryFile file(bytes);
    return failure_of([&] {
      memory::GuestMemory memory(32 * kMiB);
      load_pvh(memory, ImageFile("kernel", file.path()));
    });
  };
  CHECK(contains(failure(Image().bytes()), "CONFIG_PVH"));
  CHECK(contains(failure(std::vector<std::byte>(64)), "no ELF file"));
}

}  // namespace vmm::loader
