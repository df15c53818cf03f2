// SPDX-License-Identifier: GPL-2.0-only
#include "loader/multiboot.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <array>
#include <cstring>
#include <functional>

#include "temporary_file.hpp"

namespace vmm::loader {
namespace {

using memory::GuestAddress;
using test::contains;
using test::failure_of;
using test::put;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint32_t kMagic = 0x1badb002;

struct Header {
  uint32_t magic = kMagic, flags = 0, checksum = 0 - kMagic;
  uint32_t header_address = 0, load_address = 0, load_end = 0, bss_end = 0, entry = 0;

  void set_flags(uint32_t value) {
    flags = value;
    checksum = 0 - magic - flags;
  }
};

// Like a payload of kvm-unit-tests: a 32-bit ELF file, one segment at 4 MiB.
struct Payload {
  Elf32_Ehdr elf{};
  Elf32_Phdr segment{};
  Header header;

  Payload() {
    std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
    elf.e_ident[EI_CLASS] = ELFCLASS32;
    elf.e_ident[EI_DATA] = ELFDATA2LSB;
    elf.e_type = ET_EXEC;
    elf.e_machine = EM_386;
    elf.e_entry = 4 * kMiB + 12;
    elf.e_phoff = sizeof elf;
    elf.e_phentsize = sizeof segment;
    elf.e_phnum = 1;
    segment.p_type = PT_LOAD;
    segment.p_offset = 0x1000;
    segment.p_vaddr = segment.p_paddr = 4 * kMiB;
    segment.p_filesz = sizeof header;
    segment.p_memsz = 0x2000;
  }

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all;
    put(all, 0, elf);
    put(all, sizeof elf, segment);
    put(all, 0x1000, header);
    return all;
  }
};

LoadedKernel load(memory::GuestMemory& memory, const std::vector<std::byte>& bytes) {
  const test::TemporaryFile file(bytes);
  return load_multiboot(memory, ImageFile("kernel", file.path()));
}

std::string failure(const std::vector<std::byte>& bytes) {
  return failure_of([&] {
    memory::GuestMemory memory(32 * kMiB);
    load(memory, bytes);
  });
}

// A file without ELF: the header is at offset 16, and the file is loaded from its byte 8 on to 2
// MiB.
std::vector<std::byte> addressed(const std::function<void(Header&)>& change) {
  Header header;
  header.set_flags(1U << 16);
  header.header_address = 2 * kMiB + 8;
  header.load_address = 2 * kMiB;
  header.entry = 2 * kMiB + 40;
  change(header);
  std::vector<std::byte> all;
  put(all, 8, uint32_t{0x11223344});
  put(all, 16, header);
  put(all, 48, uint32_t{0x55667788});
  return all;
}

}  // namespace

TEST_CASE("a payload of kvm-unit-tests' kind lands at its place") {
  memory::GuestMemory memory(32 * kMiB);
  const LoadedKernel kernel = load(memory, Payload().bytes());
  CHECK(kernel.protocol == Protocol::kMultiboot);
  CHECK(kernel.entry == 4 * kMiB + 12);
  CHECK(kernel.end == 4 * kMiB + 0x2000);
  CHECK(memory.read_object<uint32_t>(GuestAddress{4 * kMiB}) == kMagic);
}

TEST_CASE("one for real mode may lie below 1 MiB, but not under the information") {
  Payload payload;
  payload.segment.p_vaddr = payload.segment.p_paddr = 0x8000;
  payload.elf.e_entry = 0x8000;
  CHECK(failure(payload.bytes()).empty());
  payload.segment.p_vaddr = payload.segment.p_paddr = 0x7ff0;
  payload.elf.e_entry = 0x7ff0;
  CHECK(contains(failure(payload.bytes()), "information's place"));
}

TEST_CASE("an entry that is a virtual address is translated") {
  Payload payload;
  payload.segment.p_vaddr = 0xc0400000;
  payload.elf.e_entry = 0xc040000c;
  memory::GuestMemory memory(32 * kMiB);
  CHECK(load(memory, payload.bytes()).entry == 4 * kMiB + 12);
}

TEST_CASE("a header with addresses needs no ELF") {
  memory::GuestMemory memory(32 * kMiB);
  const LoadedKernel kernel = load(memory, addressed([](Header&) {}));
  CHECK(kernel.entry == 2 * kMiB + 40);
  CHECK(memory.read_object<uint32_t>(GuestAddress{2 * kMiB}) == 0x11223344);
  CHECK(memory.read_object<uint32_t>(GuestAddress{2 * kMiB + 40}) == 0x55667788);
  CHECK(kernel.end == 2 * kMiB + 44);
}

TEST_CASE("bss of a header with addresses counts, and an explicit end cuts the file") {
  memory::GuestMemory memory(32 * kMiB);
  const LoadedKernel kernel = load(memory, addressed([](Header& header) {
                                     header.load_end = 2 * kMiB + 40;
                                     header.bss_end = 3 * kMiB;
                                   }));
  CHECK(kernel.end == 3 * kMiB);
  CHECK(memory.read_object<uint32_t>(GuestAddress{2 * kMiB + 40}) == 0);
}

TEST_CASE("addresses that contradict the file are refused") {
  CHECK(contains(failure(addressed([](Header& h) { h.load_address = 2 * kMiB - 16; })),
                 "begin before the file"));
  CHECK(contains(failure(addressed([](Header& h) { h.load_address = 3 * kMiB; })),
                 "begin before the file"));
  CHECK(
      contains(failure(addressed([](Header& h) { h.load_end = kMiB; })), "end before they begin"));
  CHECK(contains(failure(addressed([](Header& h) { h.load_end = 3 * kMiB; })), "truncated"));
  CHECK(contains(failure(addressed([](Header& h) { h.bss_end = 0xffffffff; })), "raise --memory"));
  CHECK(contains(failure(addressed([](Header& h) { h.entry = 0xfffffff0; })), "entry point"));
}

TEST_CASE("wishes that this machine can't fulfil are named") {
  Payload payload;
  payload.header.set_flags(4);
  CHECK(contains(failure(payload.bytes()), "a video mode"));
  payload.header.set_flags(0x0103);
  CHECK(contains(failure(payload.bytes()), "multiboot flags 0x100"));
  payload.header.set_flags(3);
  CHECK(failure(payload.bytes()).empty());
}

TEST_CASE("a header counts only with its checksum, aligned, and in the first 8 KiB") {
  const auto found = [](const std::vector<std::byte>& bytes) {
    const test::TemporaryFile file(bytes);
    return is_multiboot(ImageFile("kernel", file.path()));
  };
  Payload payload;
  CHECK(found(payload.bytes()));
  payload.header.checksum += 1;
  CHECK_FALSE(found(payload.bytes()));
  const std::array<uint32_t, 3> header = {kMagic, 0, 0 - kMagic};
  std::vector<std::byte> bytes;
  put(bytes, 8192 - 12, header);
  CHECK(found(bytes));
  bytes.clear();
  put(bytes, 8192 - 8, header);
  CHECK_FALSE(found(bytes));
  bytes.clear();
  put(bytes, 2, header);
  CHECK_FALSE(found(bytes));
}

TEST_CASE("a file without a header, or with one that leads nowhere, says so") {
  CHECK(contains(failure(std::vector<std::byte>(64)), "no multiboot header"));
  std::vector<std::byte> bytes;
  put(bytes, 0, std::array<uint32_t, 3>{kMagic, 0, 0 - kMagic});
  CHECK(contains(failure(bytes), "without addresses"));
  const uint32_t flags = 1U << 16;
  bytes.clear();
  put(bytes, 0, std::array<uint32_t, 3>{kMagic, flags, 0 - kMagic - flags});
  CHECK(contains(failure(bytes), "ends inside its header"));
}

}  // namespace vmm::loader
