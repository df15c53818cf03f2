// SPDX-License-Identifier: GPL-2.0-only
//
// Section numbers are those of the ACPI specification 6.5.
#include "arch/x86_64/acpi.hpp"

#include <algorithm>
#include <cassert>
#include <span>
#include <string_view>
#include <utility>

#include "arch/x86_64/dsdt.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/table_writer.hpp"

namespace vmm::arch {
namespace {

constexpr std::string_view kOemId = "TOOLSK";
constexpr std::string_view kOemTableId = "TOOLSKVM";
constexpr uint32_t kOemRevision = 1;

// System description table header (5.2.6).
constexpr size_t kHeaderLengthAt = 4;
constexpr size_t kHeaderChecksumAt = 9;

// RSDP (5.2.5.3).
constexpr uint8_t kRsdpRevision = 2;
constexpr size_t kRsdpSize = 36;
constexpr size_t kRsdpSizeAcpi1 = 20;
constexpr size_t kRsdpChecksumAt = 8;
constexpr size_t kRsdpExtendedChecksumAt = 32;

constexpr uint8_t kXsdtRevision = 1;
constexpr uint8_t kDsdtRevision = 2;  // 64-bit integers in AML
constexpr uint8_t kFacsVersion = 2;
constexpr size_t kFacsSize = 64;
constexpr uint64_t kFacsAlignment = 64;

// FADT (5.2.9).
constexpr uint8_t kFadtRevision = 6;
constexpr uint8_t kFadtMinorVersion = 5;
constexpr size_t kFadtSize = 276;
constexpr uint8_t kProfileEnterpriseServer = 4;
constexpr uint8_t kPm1EventLength = 4;  // status and enable
constexpr uint8_t kPm1ControlLength = 2;
constexpr uint32_t kNoC2 = 101;  // in microseconds: a latency that means "not supported"
constexpr uint32_t kNoC3 = 1001;
// IAPC_BOOT_ARCH (5.2.9.3). Clear bits have a meaning too: no 8042, but a CMOS clock and MSIs.
constexpr uint16_t kBootLegacyDevices = 1 << 0;
constexpr uint16_t kBootNoVga = 1 << 2;
// Fixed feature flags (table 5.10). The buttons are marked absent; the RTC can wake the machine.
constexpr uint32_t kFlagWbinvd = 1U << 0;
constexpr uint32_t kFlagProcC1 = 1U << 2;
constexpr uint32_t kFlagNoPowerButton = 1U << 4;
constexpr uint32_t kFlagNoSleepButton = 1U << 5;
constexpr uint32_t kFlagResetRegister = 1U << 10;

constexpr uint8_t kResetSystemAndCpu = 0x06;  // value for the reset control register

// Generic address structure (5.2.3.2).
constexpr uint8_t kSpaceMemory = 0;
constexpr uint8_t kSpaceIo = 1;
constexpr uint8_t kAccessByte = 1;
constexpr uint8_t kAccessWord = 2;

// MADT (5.2.12).
constexpr uint8_t kMadtRevision = 5;
constexpr uint32_t kMadtHas8259 = 1;
constexpr uint8_t kMadtLocalApic = 0;
constexpr uint8_t kMadtIoApic = 1;
constexpr uint8_t kMadtSourceOverride = 2;
constexpr uint8_t kMadtLocalApicNmi = 4;
constexpr uint32_t kLocalApicEnabled = 1;
constexpr uint8_t kBusIsa = 0;
constexpr uint8_t kAllProcessors = 0xff;
// MPS INTI flags (table 5.28).
constexpr uint16_t kConforming = 0;
constexpr uint16_t kActiveHigh = 1;
constexpr uint16_t kLevelTriggered = 3 << 2;

constexpr uint8_t kMcfgRevision = 1;
constexpr uint8_t kHpetRevision = 1;
constexpr uint16_t kHpetLeastTicks = 0x1000;  // the shortest period that loses no interrupt

// The length and the checksum are filled in by finish().
TableWriter begin(std::string_view signature, uint8_t revision) {
  TableWriter table;
  table.text(signature).u32(0).u8(revision).u8(0);
  table.text(kOemId).text(kOemTableId).u32(kOemRevision);
  table.text("TKVM").u32(1);  // the table's creator and its version
  return table;
}

std::vector<std::byte> finish(TableWriter& table) {
  table.patch(kHeaderLengthAt, table.size(), 4);
  table.set_checksum(kHeaderChecksumAt);
  return table.take();
}

void append_io_register(TableWriter& table, uint16_t port, uint8_t bytes, uint8_t access) {
  table.u8(kSpaceIo).u8(static_cast<uint8_t>(8 * bytes)).u8(0).u8(access).u64(port);
}

void append_no_registers(TableWriter& table, size_t count) { table.zeros(12 * count); }

std::vector<std::byte> dsdt(const AcpiDevices& devices) {
  TableWriter table = begin("DSDT", kDsdtRevision);
  for (const std::byte byte : dsdt_body(devices)) table.u8(std::to_integer<uint8_t>(byte));
  return finish(table);
}

// The location of bus 0's configuration spaces (PCI Firmware 3.3, 4.1.2).
std::vector<std::byte> mcfg() {
  TableWriter table = begin("MCFG", kMcfgRevision);
  table.zeros(8).u64(layout::kPciEcam).u16(0).u8(0).u8(0).zeros(4);  // segment, buses 0 to 0
  return finish(table);
}

// The address and capabilities of the HPET (IA-PC HPET 1.0a, 3.2.4).
std::vector<std::byte> hpet(uint32_t block_id) {
  TableWriter table = begin("HPET", kHpetRevision);
  table.u32(block_id);
  table.u8(kSpaceMemory).u8(64).u8(0).u8(0).u64(layout::kHpet);
  table.u8(0).u16(kHpetLeastTicks).u8(0);  // HPET number 0; no page protection
  return finish(table);
}

// Holds the OS's waking vector and the global lock, which only the OS takes (5.2.10). It has no
// checksum.
std::vector<std::byte> facs() {
  TableWriter table;
  table.text("FACS").u32(kFacsSize).zeros(24).u8(kFacsVersion);
  table.zeros(kFacsSize - table.size());
  return table.take();
}

std::vector<std::byte> madt(uint32_t vcpus, bool has_8259) {
  TableWriter table = begin("APIC", kMadtRevision);
  table.u32(layout::kLocalApic).u32(has_8259 ? kMadtHas8259 : 0);
  for (uint32_t id = 0; id < vcpus; ++id) {
    const auto apic = static_cast<uint8_t>(id);
    table.u8(kMadtLocalApic).u8(8).u8(apic).u8(apic).u32(kLocalApicEnabled);
  }
  const auto io_apic_id = static_cast<uint8_t>(vcpus);  // the first free id
  table.u8(kMadtIoApic).u8(12).u8(io_apic_id).u8(0).u32(layout::kIoApic).u32(0);
  // ISA lines need no other override: KVM connects GSI n, and so the timer's GSI 0, to pin n.
  table.u8(kMadtSourceOverride).u8(10).u8(kBusIsa).u8(layout::kIrqSci).u32(layout::kIrqSci);
  table.u16(kActiveHigh | kLevelTriggered);
  table.u8(kMadtLocalApicNmi).u8(6).u8(kAllProcessors).u16(kConforming).u8(1);  // on LINT1
  return finish(table);
}

// Appends the fields up to the block lengths (5.2.9, offsets 36 to 95). There is no SMI command, as
// the machine is always in ACPI mode, no PM timer and no general-purpose events.
void append_fadt_blocks(TableWriter& table, uint64_t facs_address, uint64_t dsdt_address) {
  table.u32(facs_address).u32(dsdt_address);
  table.u8(0).u8(kProfileEnterpriseServer).u16(layout::kIrqSci);
  table.u32(0).u8(0).u8(0).u8(0).u8(0);       // SMI_CMD and its values
  table.u32(layout::kPortPm1Event).u32(0);    // PM1a, PM1b
  table.u32(layout::kPortPm1Control).u32(0);  // PM1a, PM1b
  table.u32(0).u32(0).u32(0).u32(0);          // PM2, PM_TMR, GPE0, GPE1
  table.u8(kPm1EventLength).u8(kPm1ControlLength);
  table.u8(0).u8(0).u8(0).u8(0).u8(0).u8(0);  // PM2, PM_TMR, GPE0, GPE1; GPE1 base; C-states
}

std::vector<std::byte> fadt(uint64_t facs_address, uint64_t dsdt_address) {
  TableWriter table = begin("FACP", kFadtRevision);
  append_fadt_blocks(table, facs_address, dsdt_address);
  table.u16(kNoC2).u16(kNoC3);
  table.u16(0).u16(0).u8(0).u8(0);  // cache flushing, duty cycle
  table.u8(0).u8(0).u8(0);          // CMOS has neither an alarm date nor a century
  table.u16(kBootLegacyDevices | kBootNoVga).u8(0);
  table.u32(kFlagWbinvd | kFlagProcC1 | kFlagNoPowerButton | kFlagNoSleepButton |
            kFlagResetRegister);
  append_io_register(table, layout::kPortReset, 1, kAccessByte);
  table.u8(kResetSystemAndCpu).u16(0).u8(kFadtMinorVersion);
  table.u64(0).u64(dsdt_address);  // the FACS has only its 32-bit address
  append_io_register(table, layout::kPortPm1Event, kPm1EventLength, kAccessWord);
  append_no_registers(table, 1);  // PM1b
  append_io_register(table, layout::kPortPm1Control, kPm1ControlLength, kAccessWord);
  append_no_registers(table, 7);  // PM1b, PM2, PM_TMR, GPE0, GPE1, sleep x 2
  table.text(kOemTableId);        // hypervisor vendor identity
  assert(table.size() == kFadtSize);
  return finish(table);
}

std::vector<std::byte> xsdt(std::span<const uint64_t> addresses) {
  TableWriter table = begin("XSDT", kXsdtRevision);
  for (const uint64_t address : addresses) table.u64(address);
  return finish(table);
}

std::vector<std::byte> rsdp(uint64_t xsdt_address) {
  TableWriter table;
  table.text("RSD PTR ").u8(0).text(kOemId).u8(kRsdpRevision);
  table.u32(0).u32(kRsdpSize).u64(xsdt_address);  // no RSDT
  table.u8(0).zeros(3);
  table.set_checksum(kRsdpChecksumAt, kRsdpSizeAcpi1);
  table.set_checksum(kRsdpExtendedChecksumAt);
  assert(table.size() == kRsdpSize);
  return table.take();
}

// Places tables one after the other and returns the address of each.
class Placer {
 public:
  explicit Placer(uint64_t address) : address_(address) {}

  uint64_t place(const std::vector<std::byte>& table) {
    bytes_.resize((bytes_.size() + kFacsAlignment - 1) / kFacsAlignment * kFacsAlignment);
    const uint64_t at = address_ + bytes_.size();
    bytes_.insert(bytes_.end(), table.begin(), table.end());
    return at;
  }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  uint64_t address_;
  std::vector<std::byte> bytes_;
};

}  // namespace

std::vector<std::byte> acpi_tables(uint64_t address, uint32_t vcpus, const AcpiDevices& devices) {
  assert(vcpus >= 1 && vcpus <= layout::kMaxVcpus);
  assert(address % kFacsAlignment == 0);
  Placer placer(address);
  placer.place(rsdp(0));  // overwritten once the XSDT's address is known
  const uint64_t facs_address = placer.place(facs());
  assert(facs_address - address == layout::kFacs - layout::kAcpiTables);
  const uint64_t dsdt_address = placer.place(dsdt(devices));
  std::vector<uint64_t> listed = {placer.place(fadt(facs_address, dsdt_address)),
                                  placer.place(madt(vcpus, devices.has_8259))};
  if (devices.pci) listed.push_back(placer.place(mcfg()));
  if (devices.hpet != 0) listed.push_back(placer.place(hpet(devices.hpet)));
  const auto pointer = rsdp(placer.place(xsdt(listed)));
  std::copy(pointer.begin(), pointer.end(), placer.bytes().begin());
  return std::move(placer.bytes());
}

}  // namespace vmm::arch
