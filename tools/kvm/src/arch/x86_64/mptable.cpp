// SPDX-License-Identifier: GPL-2.0-only
//
// Intel MultiProcessor Specification 1.4, chapter 4.
#include "arch/x86_64/mptable.hpp"

#include <cassert>

#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/table_writer.hpp"

namespace vmm::arch {
namespace {

constexpr uint8_t kSpecRevision = 4;
constexpr uint8_t kApicVersion = 0x14;

// Entry types (4.3).
constexpr uint8_t kEntryProcessor = 0;
constexpr uint8_t kEntryBus = 1;
constexpr uint8_t kEntryIoApic = 2;
constexpr uint8_t kEntryIoInterrupt = 3;
constexpr uint8_t kEntryLocalInterrupt = 4;

constexpr uint8_t kCpuEnabled = 1;
constexpr uint8_t kCpuBootstrap = 2;
constexpr uint8_t kIoApicEnabled = 1;
constexpr uint8_t kIsaBus = 0;
constexpr uint8_t kAllLocalApics = 0xff;

// Interrupt types (4.3.3).
constexpr uint8_t kTypeInt = 0;
constexpr uint8_t kTypeNmi = 1;
constexpr uint8_t kTypeExtInt = 3;

constexpr size_t kFloatingPointerSize = 16;
constexpr size_t kFloatingChecksumAt = 10;
constexpr size_t kHeaderLengthAt = 4;
constexpr size_t kHeaderChecksumAt = 7;
constexpr size_t kHeaderEntryCountAt = 34;

void append_header(TableWriter& table) {
  table.text("PCMP").u16(0).u8(kSpecRevision).u8(0);
  table.text("TOOLSKVM").text("VMM         ");
  table.u32(0).u16(0);  // no OEM table
  table.u16(0);         // entry count, patched at the end
  table.u32(layout::kLocalApic).u32(0);
}

unsigned append_processors(TableWriter& table, uint32_t vcpus) {
  for (uint32_t id = 0; id < vcpus; ++id) {
    table.u8(kEntryProcessor).u8(static_cast<uint8_t>(id)).u8(kApicVersion);
    table.u8(id == 0 ? kCpuEnabled | kCpuBootstrap : kCpuEnabled);
    table.u32(0x600).u32(0x201);  // family 6, FPU, APIC: the kernel uses CPUID instead
    table.u32(0).u32(0);
  }
  return vcpus;
}

void append_interrupt(TableWriter& table, uint8_t entry, uint8_t type, uint8_t line, uint8_t apic,
                      uint8_t pin) {
  table.u8(entry).u8(type).u16(0);  // polarity and trigger as for the bus
  table.u8(kIsaBus).u8(line).u8(apic).u8(pin);
}

unsigned append_wiring(TableWriter& table, uint8_t io_apic_id) {
  unsigned entries = 2;
  table.u8(kEntryBus).u8(kIsaBus).text("ISA   ");
  table.u8(kEntryIoApic).u8(io_apic_id).u8(kApicVersion).u8(kIoApicEnabled);
  table.u32(layout::kIoApic);
  for (uint32_t line = 0; line < layout::kIsaIrqs; ++line) {
    const auto pin = static_cast<uint8_t>(line);
    append_interrupt(table, kEntryIoInterrupt, kTypeInt, pin, io_apic_id, pin);
    ++entries;
  }
  append_interrupt(table, kEntryLocalInterrupt, kTypeExtInt, 0, 0, 0);
  append_interrupt(table, kEntryLocalInterrupt, kTypeNmi, 0, kAllLocalApics, 1);
  return entries + 2;
}

}  // namespace

std::vector<std::byte> mp_table(uint64_t address, uint32_t vcpus) {
  assert(vcpus >= 1 && vcpus <= layout::kMaxVcpus);
  TableWriter table;
  append_header(table);
  unsigned entries = append_processors(table, vcpus);
  entries += append_wiring(table, static_cast<uint8_t>(vcpus));
  assert(table.size() <= 0xffff && entries <= 0xffff);
  table.patch(kHeaderLengthAt, table.size(), 2);
  table.patch(kHeaderEntryCountAt, entries, 2);
  table.set_checksum(kHeaderChecksumAt);

  TableWriter pointer;
  pointer.text("_MP_").u32(address + kFloatingPointerSize);
  pointer.u8(1).u8(kSpecRevision).u8(0);  // length in paragraphs, revision, checksum
  pointer.u8(0).u8(0).u8(0).u8(0).u8(0);  // a table is present; virtual wire mode
  pointer.set_checksum(kFloatingChecksumAt);
  assert(pointer.size() == kFloatingPointerSize);

  std::vector<std::byte> all = pointer.take();
  all.insert(all.end(), table.bytes().begin(), table.bytes().end());
  return all;
}

}  // namespace vmm::arch
