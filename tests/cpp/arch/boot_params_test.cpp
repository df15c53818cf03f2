// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/boot_params.hpp"

#include <asm/bootparam.h>
#include <doctest/doctest.h>

#include <string>

#include "arch/x86_64/layout.hpp"
#include "base/error.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

constexpr uint64_t kMiB = 1 << 20;

BootInputs inputs(std::string line) {
  BootInputs all;
  all.command_line = std::move(line);
  all.command_line_max = 2047;
  return all;
}

}  // namespace

TEST_CASE("e820 has the hole below 1 MiB") {
  const memory::GuestMemory memory(64 * kMiB);
  const auto map = e820_map(memory.regions());
  REQUIRE(map.size() == 3);
  CHECK(map[0].start == 0);
  CHECK(map[0].length == layout::kLowRamEnd);
  CHECK(map[0].type == 1);
  CHECK(map[1].type == 2);
  CHECK(map[1].start + map[1].length == 0x100000);
  CHECK(map[2].start == 0x100000);
  CHECK(map[2].start + map[2].length == 64 * kMiB);
}

TEST_CASE("e820 goes on above 4 GiB") {
  const memory::GuestMemory memory(4096 * kMiB);
  const auto map = e820_map(memory.regions());
  REQUIRE(map.size() == 4);
  CHECK(map[2].start + map[2].length == 3072 * kMiB);
  CHECK(map[3].start == 4096 * kMiB);
  CHECK(map[3].length == 1024 * kMiB);
}

TEST_CASE("the zero page points to the command line and the initrd") {
  memory::GuestMemory memory(64 * kMiB);
  BootInputs all = inputs("quiet panic=-1");
  all.initrd_start = 0x3000000;
  all.initrd_size = 0x12345;
  write_boot_params(memory, all);
  const auto params = memory.read_object<boot_params>(GuestAddress{layout::kBootParams});
  REQUIRE(params);
  CHECK(params->hdr.header == 0x53726448);
  CHECK(params->hdr.boot_flag == 0xaa55);
  CHECK(params->hdr.type_of_loader == 0xff);
  CHECK(params->hdr.cmd_line_ptr == layout::kCommandLine);
  CHECK(params->hdr.ramdisk_image == 0x3000000);
  CHECK(params->hdr.ramdisk_size == 0x12345);
  CHECK(params->e820_entries == 3);
  const auto line = memory.slice(GuestAddress{layout::kCommandLine}, 15);
  REQUIRE(line);
  CHECK(std::string(reinterpret_cast<const char*>(line->data())) == "quiet panic=-1");
}

TEST_CASE("a bzImage's own header is kept where the VMM has nothing to say") {
  memory::GuestMemory memory(64 * kMiB);
  setup_header header{};
  header.version = 0x020f;
  header.kernel_alignment = 0x200000;
  BootInputs all = inputs("");
  all.setup_header = std::as_bytes(std::span(&header, 1));
  write_boot_params(memory, all);
  const auto params = memory.read_object<boot_params>(GuestAddress{layout::kBootParams});
  REQUIRE(params);
  CHECK(params->hdr.kernel_alignment == 0x200000);
  CHECK(params->hdr.type_of_loader == 0xff);
}

TEST_CASE("a command line that the kernel would cut is refused") {
  memory::GuestMemory memory(64 * kMiB);
  write_boot_params(memory, inputs(std::string(2047, 'x')));
  CHECK_THROWS_AS(write_boot_params(memory, inputs(std::string(2048, 'x'))), base::ConfigError);
}

TEST_CASE("a frame buffer is described as a VESA BIOS would, and kept from others") {
  memory::GuestMemory memory(64 << 20);
  BootInputs inputs;
  inputs.command_line_max = 100;
  inputs.frame_buffer = {1000, 750};
  write_boot_params(memory, inputs);
  const auto params = *memory.read_object<boot_params>({layout::kBootParams});
  const screen_info& screen = params.screen_info;
  CHECK(screen.orig_video_isVGA == VIDEO_TYPE_VLFB);
  CHECK(screen.lfb_base == layout::kFrameBuffer);
  CHECK(screen.lfb_linelength == 4000);
  CHECK(screen.lfb_size == 46);  // of 64 KiB
  CHECK(screen.red_pos == 16);
  const boot_e820_entry& last = params.e820_table[params.e820_entries - 1];
  CHECK(last.addr == layout::kFrameBuffer);
  CHECK(last.size == 733 * 4096);
  CHECK(last.type == 2);
}

}  // namespace vmm::arch
