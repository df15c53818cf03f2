// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <cstring>

#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/multiboot_info.hpp"
#include "arch/x86_64/pvh_start_info.hpp"
#include "base/error.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

constexpr uint64_t kMiB = layout::kMiB;

template <class T>
T at(const memory::GuestMemory& memory, uint64_t address) {
  return *memory.read_object<T>(GuestAddress{address});
}

std::string text_at(const memory::GuestMemory& memory, uint64_t address) {
  return reinterpret_cast<const char*>(memory.slice(GuestAddress{address}, 64)->data());
}

BootInputs inputs() {
  BootInputs inputs;
  inputs.command_line = "msr.flat one two";
  inputs.command_line_max = 100;
  inputs.initrd_start = 16 * kMiB;
  inputs.initrd_size = 77;
  return inputs;
}

}  // namespace

TEST_CASE("multiboot information has memory, command line and the module") {
  memory::GuestMemory memory(64 * kMiB);
  write_multiboot_info(memory, inputs());
  const uint64_t info = layout::kMultibootInfo;
  CHECK((at<uint32_t>(memory, info) & 0x4d) == 0x4d);
  CHECK(at<uint32_t>(memory, info + 4) == 639);
  CHECK(at<uint32_t>(memory, info + 8) == 63 * 1024);
  CHECK(text_at(memory, at<uint32_t>(memory, info + 16)) == "msr.flat one two");
  CHECK(at<uint32_t>(memory, info + 20) == 1);
  const uint64_t module = at<uint32_t>(memory, info + 24);
  CHECK(at<uint32_t>(memory, module) == 16 * kMiB);
  CHECK(at<uint32_t>(memory, module + 4) == 16 * kMiB + 77);
  CHECK(text_at(memory, at<uint32_t>(memory, info + 64)) == "tools-kvm");
}

TEST_CASE("the multiboot memory map has RAM on both sides of each hole") {
  memory::GuestMemory memory(memory::GuestMemory::kLowEnd + 64 * kMiB);
  write_multiboot_info(memory, inputs());
  const uint64_t info = layout::kMultibootInfo;
  CHECK(at<uint32_t>(memory, info + 8) == 3 * 1024 * 1024 - 1024);
  const uint64_t map = at<uint32_t>(memory, info + 48);
  REQUIRE(at<uint32_t>(memory, info + 44) == 4 * 24);
  CHECK(at<uint32_t>(memory, map) == 20);
  CHECK(at<uint64_t>(memory, map + 4) == 0);
  CHECK(at<uint64_t>(memory, map + 12) == layout::kLowRamEnd);
  CHECK(at<uint32_t>(memory, map + 20) == 1);
  CHECK(at<uint32_t>(memory, map + 24 + 20) == 2);
  CHECK(at<uint64_t>(memory, map + 48 + 4) == kMiB);
  CHECK(at<uint64_t>(memory, map + 72 + 4) == memory::GuestMemory::kHighStart);
  CHECK(at<uint64_t>(memory, map + 72 + 12) == 64 * kMiB);
}

TEST_CASE("without a module there is a command line all the same, and a long one is refused") {
  memory::GuestMemory memory(64 * kMiB);
  BootInputs given;
  write_multiboot_info(memory, given);
  const uint64_t info = layout::kMultibootInfo;
  CHECK(at<uint32_t>(memory, info + 20) == 0);
  CHECK(text_at(memory, at<uint32_t>(memory, info + 16)).empty());
  given.command_line = std::string(3328, 'x');
  CHECK_THROWS_AS(write_multiboot_info(memory, given), base::ConfigError);
  given.command_line.pop_back();
  write_multiboot_info(memory, given);
}

TEST_CASE("PVH start information has version 1, the memory map and the module") {
  memory::GuestMemory memory(64 * kMiB);
  write_pvh_start_info(memory, inputs());
  const uint64_t info = layout::kPvhStartInfo;
  CHECK(at<uint32_t>(memory, info) == 0x336ec578);
  CHECK(at<uint32_t>(memory, info + 4) == 1);
  CHECK(at<uint32_t>(memory, info + 12) == 1);
  const uint64_t module = at<uint64_t>(memory, info + 16);
  CHECK(at<uint64_t>(memory, module) == 16 * kMiB);
  CHECK(at<uint64_t>(memory, module + 8) == 77);
  CHECK(text_at(memory, at<uint64_t>(memory, info + 24)) == "msr.flat one two");
  CHECK(at<uint64_t>(memory, info + 32) == layout::kAcpiTables);
  CHECK(at<uint32_t>(memory, info + 48) == 3);
  const uint64_t map = at<uint64_t>(memory, info + 40);
  CHECK(at<uint64_t>(memory, map + 48) == kMiB);
  CHECK(at<uint64_t>(memory, map + 56) == 63 * kMiB);
  CHECK(at<uint32_t>(memory, map + 64) == 1);
  BootInputs given = inputs();
  given.command_line_max = 3;
  CHECK_THROWS_AS(write_pvh_start_info(memory, given), base::ConfigError);
}

}  // namespace vmm::arch
