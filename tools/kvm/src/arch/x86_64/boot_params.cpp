// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/boot_params.hpp"

#include <asm/bootparam.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "arch/x86_64/layout.hpp"
#include "base/error.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

constexpr uint32_t kE820Ram = 1;
constexpr uint32_t kE820Reserved = 2;
constexpr uint8_t kLoaderUndefined = 0xff;

// A vmlinux has no setup header of its own; these are the fields that the kernel itself reads.
setup_header header_for_elf() {
  setup_header header{};
  header.boot_flag = 0xaa55;
  header.header = 0x53726448;  // "HdrS"
  header.version = 0x020f;
  header.loadflags = LOADED_HIGH;
  return header;
}

constexpr uint32_t kPixelBits = 32;
constexpr uint32_t kLfbSizeUnit = 64 << 10;

uint64_t bytes_of(const FrameBufferInfo& frame_buffer) {
  return uint64_t{frame_buffer.width} * frame_buffer.height * kPixelBits / 8;
}

// The fields as a VESA BIOS would set them (include/uapi/linux/screen_info.h).
screen_info describe(const FrameBufferInfo& frame_buffer) {
  screen_info info{};
  info.orig_video_isVGA = VIDEO_TYPE_VLFB;
  info.capabilities = VIDEO_CAPABILITY_SKIP_QUIRKS;
  info.lfb_width = static_cast<uint16_t>(frame_buffer.width);
  info.lfb_height = static_cast<uint16_t>(frame_buffer.height);
  info.lfb_depth = kPixelBits;
  info.lfb_base = static_cast<uint32_t>(layout::kFrameBuffer);
  info.lfb_size = static_cast<uint32_t>((bytes_of(frame_buffer) + kLfbSizeUnit - 1) / kLfbSizeUnit);
  info.lfb_linelength = static_cast<uint16_t>(frame_buffer.width * kPixelBits / 8);
  info.blue_size = info.green_size = info.red_size = info.rsvd_size = 8;
  info.blue_pos = 0, info.green_pos = 8, info.red_pos = 16, info.rsvd_pos = 24;
  info.pages = 1;
  return info;
}

}  // namespace

std::vector<E820Entry> e820_map(std::span<const memory::Region> regions) {
  std::vector<E820Entry> map = {
      {0, layout::kLowRamEnd, kE820Ram},
      {layout::kLowRamEnd, layout::kHighRamStart - layout::kLowRamEnd, kE820Reserved},
  };
  for (const memory::Region& region : regions) {
    const uint64_t start = std::max(region.start.value, layout::kHighRamStart);
    const uint64_t end = region.start.value + region.length;
    if (end > start) map.push_back({start, end - start, kE820Ram});
  }
  return map;
}

void write_command_line(memory::GuestMemory& memory, const std::string& text, uint64_t limit) {
  if (text.size() > limit) {
    throw base::ConfigError("the kernel command line has " + std::to_string(text.size()) +
                            " bytes, this kernel takes " + std::to_string(limit) + ": shorten it");
  }
  const bool written = memory.write(GuestAddress{layout::kCommandLine},
                                    std::as_bytes(std::span(text.c_str(), text.size() + 1)));
  assert(written);
  static_cast<void>(written);
}

void write_boot_params(memory::GuestMemory& memory, const BootInputs& inputs) {
  boot_params params{};
  if (inputs.setup_header.empty()) {
    params.hdr = header_for_elf();
  } else {
    const size_t length = std::min(inputs.setup_header.size(), sizeof params.hdr);
    std::memcpy(&params.hdr, inputs.setup_header.data(), length);
  }
  params.hdr.type_of_loader = kLoaderUndefined;
  params.hdr.vid_mode = 0xffff;  // "normal"
  params.hdr.cmd_line_ptr = layout::kCommandLine;
  params.acpi_rsdp_addr = layout::kAcpiTables;
  params.hdr.ramdisk_image = static_cast<uint32_t>(inputs.initrd_start);
  params.hdr.ramdisk_size = static_cast<uint32_t>(inputs.initrd_size);

  std::vector<E820Entry> map = e820_map(memory.regions());
  if (inputs.frame_buffer) {
    params.screen_info = describe(*inputs.frame_buffer);
    // Reserved, so that the kernel puts no PCI device there.
    const uint64_t pages =
        (bytes_of(*inputs.frame_buffer) + layout::kPageSize - 1) / layout::kPageSize;
    map.push_back({layout::kFrameBuffer, pages * layout::kPageSize, kE820Reserved});
  }
  for (const E820Entry& entry : map) {
    boot_e820_entry& slot = params.e820_table[params.e820_entries++];
    slot.addr = entry.start;
    slot.size = entry.length;
    slot.type = entry.type;
  }
  write_command_line(memory, inputs.command_line, inputs.command_line_max);
  const bool written = memory.write_object(GuestAddress{layout::kBootParams}, params);
  assert(written);
  static_cast<void>(written);
}

}  // namespace vmm::arch
