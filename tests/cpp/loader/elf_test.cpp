// SPDX-License-Identifier: GPL-2.0-only
#include "loader/elf.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <cstring>

#include "temporary_file.hpp"

namespace vmm::loader {
namespace {

using memory::GuestAddress;
using test::contains;
using test::failure_of;
using test::put;

constexpr uint64_t kMiB = 1 << 20;

// A vmlinux of one segment: 16 bytes of content, the rest of its page bss.
struct Image {
  Elf64_Ehdr header{};
  Elf64_Phdr segment{};

  Image() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_entry = 16 * kMiB;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof segment;
    header.e_phnum = 1;
    segment.p_type = PT_LOAD;
    segment.p_offset = 0x100;
    segment.p_paddr = 16 * kMiB;
    segment.p_filesz = 16;
    segment.p_memsz = 0x1000;
  }

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all;
    put(all, 0, header);
    put(all, sizeof header, segment);
    put(all, 0x100, std::array<uint64_t, 2>{0x1122334455667788, 0x99});
    return all;
  }

  std::string failure(uint64_t memory_mib = 32) const {
    const test::TemporaryFile file(bytes());
    return failure_of([&] {
      memory::GuestMemory memory(memory_mib * kMiB);
      load_elf(memory, ImageFile("kernel", file.path()));
    });
  }
};

}  // namespace

TEST_CASE("a segment lands at its physical address") {
  const test::TemporaryFile file(Image().bytes());
  memory::GuestMemory memory(32 * kMiB);
  const LoadedKernel kernel = load_elf(memory, ImageFile("kernel", file.path()));
  CHECK(kernel.entry == 16 * kMiB);
  CHECK(kernel.end >= 16 * kMiB + 0x1000);
  CHECK(kernel.setup_header.empty());
  CHECK(memory.read_object<uint64_t>(GuestAddress{16 * kMiB}) == 0x1122334455667788);
}

TEST_CASE("foreign files are named for what they are") {
  Image image;
  image = Image();
  image.header.e_machine = EM_AARCH64;
  CHECK(contains(image.failure(), "another architecture"));
  image = Image();
  image.header.e_type = ET_REL;
  CHECK(contains(image.failure(), "object file"));
  image = Image();
  image.header.e_phnum = 0;
  CHECK(contains(image.failure(), "no program headers"));
  image = Image();
  image.segment.p_type = PT_NOTE;
  CHECK(contains(image.failure(), "no PT_LOAD"));
  image = Image();
  image.segment.p_paddr = 0x400;
  image.header.e_entry = 0x400;
  CHECK(contains(image.failure(), "below 1 MiB"));
  image = Image();
  image.header.e_entry = 5 * kMiB;
  CHECK(contains(image.failure(), "entry point"));
}

TEST_CASE("a 32-bit program is none to boot") {
  Elf32_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_EXEC;
  header.e_machine = EM_386;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf32_Phdr);
  header.e_phnum = 1;
  std::vector<std::byte> bytes;
  put(bytes, 0, header);
  put(bytes, sizeof header, Elf32_Phdr{});
  const test::TemporaryFile file(bytes);
  const std::string message = failure_of([&] {
    memory::GuestMemory memory(32 * kMiB);
    load_elf(memory, ImageFile("kernel", file.path()));
  });
  CHECK(contains(message, "32-bit"));
}

TEST_CASE("a truncated file says how long it should be") {
  Image image;
  image.segment.p_filesz = 0x800;
  const std::string message = image.failure();
  CHECK(contains(message, "truncated"));
  CHECK(contains(message, std::to_string(0x100 + 0x800)));
}

TEST_CASE("sizes that contradict each other or wrap are refused") {
  Image image;
  image.segment.p_filesz = 0x2000;
  CHECK(contains(image.failure(), "larger than its memory"));
  image = Image();
  image.segment.p_memsz = ~0ULL;
  CHECK_FALSE(image.failure().empty());
  image = Image();
  image.header.e_phoff = ~0ULL - 8;
  CHECK(contains(image.failure(), "truncated"));
  image = Image();
  image.segment.p_offset = ~0ULL - 4;
  CHECK(contains(image.failure(), "truncated"));
}

TEST_CASE("too little memory: the message has the amount") {
  Image image;
  image.segment.p_memsz = 40 * kMiB;
  const std::string message = image.failure();
  CHECK(contains(message, "needs 56 MiB"));
  CHECK(contains(message, "there are 32 MiB"));
}

}  // namespace vmm::loader
