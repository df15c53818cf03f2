// SPDX-License-Identifier: GPL-2.0-only
//
// Xen's xen/include/public/arch-x86/hvm/start_info.h, version 1 (the first with a memory map).
#include "arch/x86_64/pvh_start_info.hpp"

#include <cassert>
#include <cstddef>
#include <vector>

#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/table_writer.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

constexpr uint32_t kMagic = 0x336ec578;
constexpr uint32_t kVersion = 1;
constexpr uint64_t kModules = layout::kPvhStartInfo + 0x80;
constexpr uint64_t kMemoryMap = layout::kPvhStartInfo + 0x100;
constexpr size_t kStartInfoSize = 56;

void place(memory::GuestMemory& memory, uint64_t address, std::span<const std::byte> bytes) {
  const bool written = memory.write(GuestAddress{address}, bytes);
  assert(written);
  static_cast<void>(written);
}

// The types are those of e820.
std::vector<std::byte> memory_map(const std::vector<E820Entry>& entries) {
  TableWriter map;
  for (const E820Entry& entry : entries) {
    map.u64(entry.start).u64(entry.length).u32(entry.type).u32(0);
  }
  return map.take();
}

}  // namespace

void write_pvh_start_info(memory::GuestMemory& memory, const BootInputs& inputs) {
  const std::vector<E820Entry> entries = e820_map(memory.regions());
  const bool has_module = inputs.initrd_size != 0;

  TableWriter info;
  info.u32(kMagic).u32(kVersion).u32(0).u32(has_module ? 1 : 0);
  info.u64(has_module ? kModules : 0).u64(layout::kCommandLine).u64(layout::kAcpiTables);
  info.u64(kMemoryMap).u32(entries.size()).u32(0);
  assert(info.size() == kStartInfoSize);

  TableWriter module;
  module.u64(inputs.initrd_start).u64(inputs.initrd_size).u64(0).u64(0);

  write_command_line(memory, inputs.command_line, inputs.command_line_max);
  place(memory, layout::kPvhStartInfo, info.bytes());
  if (has_module) place(memory, kModules, module.bytes());
  place(memory, kMemoryMap, memory_map(entries));
}

}  // namespace vmm::arch
