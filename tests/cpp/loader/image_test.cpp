// SPDX-License-Identifier: GPL-2.0-only
#include "loader/image.hpp"

#include <doctest/doctest.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/error.hpp"
#include "temporary_file.hpp"

namespace vmm::loader {
namespace {

using memory::GuestAddress;
using test::contains;
using test::failure_of;
using test::put;

constexpr uint64_t kMiB = 1 << 20;

std::vector<std::byte> vmlinux() {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_entry = kMiB;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_paddr = kMiB;
  segment.p_filesz = sizeof header;
  segment.p_memsz = sizeof header;
  std::vector<std::byte> all;
  put(all, 0, header);
  put(all, sizeof header, segment);
  return all;
}

std::string failure(const std::string& kernel, const std::string& initrd) {
  return failure_of([&] {
    memory::GuestMemory memory(32 * kMiB);
    load_image(memory, Protocol::kAuto, kernel, initrd);
  });
}

}  // namespace

TEST_CASE("the initrd ends at the top of memory, on a page of its own") {
  const test::TemporaryFile kernel(vmlinux());
  const std::vector<std::byte> content(5000, std::byte{0x5a});
  const test::TemporaryFile initrd(content);
  memory::GuestMemory memory(32 * kMiB);
  const LoadedKernel loaded = load_image(memory, Protocol::kAuto, kernel.path(), initrd.path());
  CHECK(loaded.initrd_size == 5000);
  CHECK(loaded.initrd_start == 32 * kMiB - 8192);
  CHECK(memory.read_object<uint8_t>(GuestAddress{loaded.initrd_start + 4999}) == 0x5a);
}

TEST_CASE("no initrd is fine") {
  const test::TemporaryFile kernel(vmlinux());
  memory::GuestMemory memory(32 * kMiB);
  CHECK(load_image(memory, Protocol::kAuto, kernel.path(), "").initrd_size == 0);
}

TEST_CASE("every failure names the file and its role") {
  const test::TemporaryFile kernel(vmlinux());
  const test::TemporaryFile empty({});
  std::string message = failure("/nonexistent/vmlinux", "");
  CHECK(contains(message, "kernel /nonexistent/vmlinux"));
  CHECK(contains(message, "No such file"));
  message = failure(empty.path(), "");
  CHECK(contains(message, "kernel " + empty.path()));
  CHECK(contains(message, "empty"));
  message = failure(kernel.path(), empty.path());
  CHECK(contains(message, "initrd " + empty.path()));
  message = failure(kernel.path(), "/nonexistent/initrd");
  CHECK(contains(message, "initrd /nonexistent/initrd"));
  CHECK(contains(failure("/tmp", ""), "not a regular file"));
  // Opening it would wait for a writer.
  const std::string fifo = "/tmp/vmm-loader-test-fifo-" + std::to_string(getpid());
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(contains(failure(fifo, ""), "kernel " + fifo + ": is not a regular file but a FIFO"));
  CHECK(contains(failure(kernel.path(), fifo), "initrd " + fifo + ": is not a regular file"));
  unlink(fifo.c_str());
}

TEST_CASE("an initrd that does not fit says how much memory it takes") {
  const test::TemporaryFile kernel(vmlinux());
  const std::vector<std::byte> content(40 * kMiB);
  const test::TemporaryFile initrd(content);
  const std::string message = failure(kernel.path(), initrd.path());
  CHECK(contains(message, "need 44 MiB"));
  CHECK(contains(message, "there are 32 MiB"));
}

TEST_CASE("a file with a multiboot header is a payload unless it is named something else") {
  std::vector<std::byte> content = vmlinux();
  put(content, 0x200, std::array<uint32_t, 3>{0x1badb002, 0, 0u - 0x1badb002});
  const test::TemporaryFile file(content);
  const auto loaded_as = [&](Protocol wanted) {
    memory::GuestMemory memory(32 * kMiB);
    return load_image(memory, wanted, file.path(), "").protocol;
  };
  CHECK(loaded_as(Protocol::kAuto) == Protocol::kMultiboot);
  CHECK(loaded_as(Protocol::kLinux) == Protocol::kLinux);
  CHECK(loaded_as(Protocol::kFlat) == Protocol::kFlat);
}

TEST_CASE("what nothing recognises is code, where that may be") {
  const test::TemporaryFile file(std::vector<std::byte>(3));
  memory::GuestMemory memory(32 * kMiB);
  CHECK(load_image(memory, Protocol::kAutoFlat, file.path(), "").protocol == Protocol::kFlat);
  const test::TemporaryFile kernel(vmlinux());
  CHECK(load_image(memory, Protocol::kAutoFlat, kernel.path(), "").protocol == Protocol::kLinux);
}

TEST_CASE("protocols have the names that people write") {
  CHECK(base::value_named<Protocol>("pvh") == Protocol::kPvh);
  CHECK(base::value_named<Protocol>("auto") == Protocol::kAuto);
  CHECK_FALSE(base::value_named<Protocol>("PVH"));
  CHECK_FALSE(base::value_named<Protocol>(""));
  CHECK(base::names_to_use<Protocol>() == "auto, linux, pvh, multiboot or flat");
}

TEST_CASE("a file of three bytes is no kernel") {
  const std::vector<std::byte> content(3);
  const test::TemporaryFile kernel(content);
  CHECK(contains(failure(kernel.path(), ""), "neither an ELF vmlinux nor a bzImage"));
}

}  // namespace vmm::loader
