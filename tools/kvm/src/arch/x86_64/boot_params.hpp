// SPDX-License-Identifier: GPL-2.0-only
//
// The zero page, by which the 64-bit boot protocol passes parameters to the kernel
// (Documentation/arch/x86/ zero-page.rst). Called by machine/ once, after the kernel and the initrd
// are in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/guest_memory.hpp"

namespace vmm::arch {

struct E820Entry {
  uint64_t start;
  uint64_t length;
  uint32_t type;
};

// RAM as the guest sees it, with the hole below 1 MiB and the one below 4 GiB.
std::vector<E820Entry> e820_map(std::span<const memory::Region> regions);

// A linear frame buffer at layout::kFrameBuffer, 32 bits a pixel, as display::kPixelBytes says.
struct FrameBufferInfo {
  uint32_t width;
  uint32_t height;
};

struct BootInputs {
  std::string command_line;
  uint64_t command_line_max = 0;            // this kernel's limit, without the NUL
  std::span<const std::byte> setup_header;  // from a bzImage; empty for a vmlinux
  uint64_t initrd_start = 0;
  uint64_t initrd_size = 0;
  std::optional<FrameBufferInfo> frame_buffer;
};

// Writes `text` to layout::kCommandLine. Throws base::ConfigError when it exceeds `limit` bytes.
void write_command_line(memory::GuestMemory& memory, const std::string& text, uint64_t limit);

// Writes the command line and the zero page. Throws base::ConfigError when the line is too long
// for this kernel.
void write_boot_params(memory::GuestMemory& memory, const BootInputs& inputs);

}  // namespace vmm::arch
