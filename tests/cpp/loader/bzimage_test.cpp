// SPDX-License-Identifier: GPL-2.0-only
#include "loader/bzimage.hpp"

#include <asm/bootparam.h>
#include <doctest/doctest.h>

#include "temporary_file.hpp"

namespace vmm::loader {
namespace {

using memory::GuestAddress;
using test::contains;
using test::failure_of;
using test::put;

constexpr uint64_t kMiB = 1 << 20;
constexpr size_t kPayloadAt = 2 * 512;
constexpr size_t kPayloadSize = 0x1000;

struct Image {
  setup_header header{};
  size_t size = kPayloadAt + kPayloadSize;

  Image() {
    header.setup_sects = 1;
    header.syssize = kPayloadSize / 16;
    header.boot_flag = 0xaa55;
    header.jump = 0x6aeb;
    header.header = 0x53726448;
    header.version = 0x020f;
    header.xloadflags = XLF_KERNEL_64;
    header.cmdline_size = 2047;
    header.initrd_addr_max = 0x7fffffff;
    header.pref_address = 16 * kMiB;
    header.init_size = 8 * kMiB;
  }

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all;
    put(all, 0x1f1, header);
    all.resize(kPayloadAt);
    put(all, kPayloadAt, uint32_t{0xfeedbeef});
    all.resize(size);
    return all;
  }

  std::string failure(uint64_t memory_mib = 32) const {
    const test::TemporaryFile file(bytes());
    return failure_of([&] {
      memory::GuestMemory memory(memory_mib * kMiB);
      load_bzimage(memory, ImageFile("kernel", file.path()));
    });
  }
};

}  // namespace

TEST_CASE("the payload lands at the preferred address and starts at its 64-bit entry") {
  const test::TemporaryFile file(Image().bytes());
  memory::GuestMemory memory(32 * kMiB);
  const LoadedKernel kernel = load_bzimage(memory, ImageFile("kernel", file.path()));
  CHECK(kernel.entry == 16 * kMiB + 0x200);
  CHECK(kernel.end == 24 * kMiB);
  CHECK(kernel.initrd_limit == 0x80000000);
  CHECK(kernel.command_line_max == 2047);
  CHECK(kernel.setup_header.size() == 0x202 + 0x6a - 0x1f1);
  CHECK(memory.read_object<uint32_t>(GuestAddress{16 * kMiB}) == 0xfeedbeef);
}

TEST_CASE("zero setup sectors mean four") {
  Image image;
  image.header.setup_sects = 0;
  auto bytes = image.bytes();
  bytes.resize(5 * 512 + kPayloadSize);
  put(bytes, 5 * 512, uint32_t{0x12345678});
  const test::TemporaryFile file(bytes);
  memory::GuestMemory memory(32 * kMiB);
  load_bzimage(memory, ImageFile("kernel", file.path()));
  CHECK(memory.read_object<uint32_t>(GuestAddress{16 * kMiB}) == 0x12345678);
}

TEST_CASE("files that are no bzImage are refused") {
  Image image;
  image.header.boot_flag = 0;
  CHECK(contains(image.failure(), "neither an ELF vmlinux nor a bzImage"));
  image = Image();
  image.header.header = 0;
  CHECK(contains(image.failure(), "neither an ELF vmlinux nor a bzImage"));
  image = Image();
  image.size = 100;
  CHECK(contains(image.failure(), "neither"));
}

TEST_CASE("kernels without a 64-bit entry are refused") {
  Image image;
  image.header.version = 0x020b;
  CHECK(contains(image.failure(), "before 3.8"));
  image = Image();
  image.header.xloadflags = 0;
  CHECK(contains(image.failure(), "32-bit kernel"));
}

TEST_CASE("a truncated payload is noticed") {
  Image image;
  image.size -= 1;
  CHECK(contains(image.failure(), "truncated"));
  image = Image();
  image.header.setup_sects = 255;
  CHECK(contains(image.failure(), "truncated"));
  image = Image();
  image.header.syssize = 0;
  CHECK(contains(image.failure(), "no protected-mode code"));
}

TEST_CASE("hostile sizes and addresses are refused") {
  Image image;
  image.header.pref_address = 0;
  CHECK(contains(image.failure(), "below 1 MiB"));
  image = Image();
  image.header.pref_address = ~0ULL - 0xfff;
  CHECK_FALSE(image.failure().empty());
  image = Image();
  image.header.syssize = 0xffffffff;
  CHECK_FALSE(image.failure().empty());
}

TEST_CASE("too little memory for unpacking: the message has the amount") {
  Image image;
  image.header.init_size = 40 * kMiB;
  CHECK(contains(image.failure(), "needs 56 MiB"));
}

}  // namespace vmm::loader
