// SPDX-License-Identifier: GPL-2.0-only
//
// Multiboot Specification 0.6.96, section 3.3.
#include "arch/x86_64/multiboot_info.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string>
#include <vector>

#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/table_writer.hpp"
#include "base/error.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

constexpr uint32_t kHasMemory = 1U << 0;
constexpr uint32_t kHasCommandLine = 1U << 2;
constexpr uint32_t kHasModules = 1U << 3;
constexpr uint32_t kHasMemoryMap = 1U << 6;
constexpr uint32_t kHasLoaderName = 1U << 9;

// Addresses of the parts in the page.
constexpr uint64_t kModules = layout::kMultibootInfo + 0x80;
constexpr uint64_t kMemoryMap = layout::kMultibootInfo + 0x100;
constexpr uint64_t kLoaderName = layout::kMultibootInfo + 0x200;
constexpr size_t kMapEntrySize = 24;
constexpr size_t kInfoSize = 0x80;

void place(memory::GuestMemory& memory, uint64_t address, std::span<const std::byte> bytes) {
  const bool written = memory.write(GuestAddress{address}, bytes);
  assert(written);
  static_cast<void>(written);
}

void place_text(memory::GuestMemory& memory, uint64_t address, const std::string& text) {
  place(memory, address, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

std::vector<std::byte> memory_map(const std::vector<E820Entry>& entries) {
  TableWriter map;
  for (const E820Entry& entry : entries) {
    map.u32(kMapEntrySize - 4);  // the size field does not count itself
    map.u64(entry.start).u64(entry.length).u32(entry.type);
  }
  return map.take();
}

// KiB of RAM from 1 MiB up to the first hole.
uint64_t upper_kib(const memory::GuestMemory& memory) {
  return (memory.regions().front().length - layout::kHighRamStart) / 1024;
}

}  // namespace

void write_multiboot_info(memory::GuestMemory& memory, const BootInputs& inputs) {
  constexpr uint64_t kRoom = layout::kMultibootInfoEnd - layout::kMultibootCommandLine;
  if (inputs.command_line.size() >= kRoom) {
    throw base::ConfigError("the payload's command line has " +
                            std::to_string(inputs.command_line.size()) + " bytes: use at most " +
                            std::to_string(kRoom - 1));
  }
  const std::vector<std::byte> map = memory_map(e820_map(memory.regions()));
  assert(kMemoryMap + map.size() <= kLoaderName);
  const bool has_module = inputs.initrd_size != 0;

  TableWriter info;
  info.u32(kHasMemory | kHasCommandLine | kHasModules | kHasMemoryMap | kHasLoaderName);
  info.u32(layout::kLowRamEnd / 1024).u32(upper_kib(memory));
  info.u32(0);  // no boot device
  info.u32(layout::kMultibootCommandLine);
  info.u32(has_module ? 1 : 0).u32(kModules);
  info.zeros(16);  // no symbols
  info.u32(map.size()).u32(kMemoryMap);
  info.zeros(12);  // no drives, no configuration table
  info.u32(kLoaderName);
  info.zeros(kInfoSize - info.size());

  TableWriter module;
  module.u32(inputs.initrd_start).u32(inputs.initrd_start + inputs.initrd_size);
  module.u32(layout::kMultibootCommandLine).u32(0);

  place(memory, layout::kMultibootInfo, info.bytes());
  if (has_module) place(memory, kModules, module.bytes());
  place(memory, kMemoryMap, map);
  place_text(memory, kLoaderName, "tools-kvm");
  place_text(memory, layout::kMultibootCommandLine, inputs.command_line);
}

}  // namespace vmm::arch
