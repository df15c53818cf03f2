// SPDX-License-Identifier: GPL-2.0-only
//
// Walks the tables like an operating system: from the root pointer, in guest memory.
#include "arch/x86_64/acpi.hpp"

#include <asm/bootparam.h>
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "arch/x86_64/boot_params.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/mptable.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

constexpr uint64_t kHeaderSize = 36;

struct Fixture {
  memory::GuestMemory memory{2 << 20};

  void write(uint32_t vcpus, const AcpiDevices& devices = {}) {
    REQUIRE(memory.write(GuestAddress{layout::kAcpiTables},
                         acpi_tables(layout::kAcpiTables, vcpus, devices)));
  }
  std::string dsdt() const {
    const uint64_t dsdt = u32(find("FACP") + 40);
    return text(dsdt, u32(dsdt + 4));
  }
  template <class T>
  T get(uint64_t address) const {
    const auto value = memory.read_object<T>(GuestAddress{address});
    REQUIRE(value);
    return *value;
  }
  uint64_t u8(uint64_t address) const { return get<uint8_t>(address); }
  uint64_t u16(uint64_t address) const { return get<uint16_t>(address); }
  uint64_t u32(uint64_t address) const { return get<uint32_t>(address); }
  uint64_t u64(uint64_t address) const { return get<uint64_t>(address); }

  std::string text(uint64_t address, uint64_t length) const {
    std::string characters;
    for (uint64_t i = 0; i < length; ++i) characters += static_cast<char>(u8(address + i));
    return characters;
  }
  uint64_t sum(uint64_t address, uint64_t length) const {
    uint64_t total = 0;
    for (uint64_t i = 0; i < length; ++i) total += u8(address + i);
    return total & 0xff;
  }

  // The table that the XSDT lists under `signature`, or 0.
  uint64_t find(const std::string& signature) const {
    const uint64_t xsdt = u64(layout::kAcpiTables + 24);
    for (uint64_t at = kHeaderSize; at < u32(xsdt + 4); at += 8) {
      if (text(u64(xsdt + at), 4) == signature) return u64(xsdt + at);
    }
    return 0;
  }
  // Addresses of the MADT's entries, by type.
  std::multimap<uint64_t, uint64_t> interrupt_controllers() const {
    const uint64_t madt = find("APIC");
    REQUIRE(madt != 0);
    const uint64_t end = madt + u32(madt + 4);
    std::multimap<uint64_t, uint64_t> entries;
    uint64_t at = madt + kHeaderSize + 8;
    while (at < end) {
      REQUIRE(u8(at + 1) >= 6);
      entries.emplace(u8(at), at);
      at += u8(at + 1);
    }
    CHECK(at == end);
    return entries;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the root pointer is where the kernel looks and where it is told") {
  write(1);
  CHECK(layout::kAcpiTables % 16 == 0);
  CHECK(layout::kAcpiTables >= 0xe0000);
  CHECK(text(layout::kAcpiTables, 8) == "RSD PTR ");
  CHECK(u8(layout::kAcpiTables + 15) == 2);
  CHECK(sum(layout::kAcpiTables, 20) == 0);
  CHECK(u32(layout::kAcpiTables + 20) == 36);
  CHECK(sum(layout::kAcpiTables, 36) == 0);

  BootInputs inputs;
  inputs.command_line_max = 2047;
  write_boot_params(memory, inputs);
  CHECK(get<boot_params>(layout::kBootParams).acpi_rsdp_addr == layout::kAcpiTables);
}

TEST_CASE_FIXTURE(Fixture, "every table adds up, for one, few and most processors") {
  for (const uint32_t vcpus : {1U, 4U, 255U}) {
    CAPTURE(vcpus);
    write(vcpus);
    const uint64_t fadt = find("FACP");
    REQUIRE(fadt != 0);
    const uint64_t dsdt = u32(fadt + 40);
    const std::map<std::string, uint64_t> tables = {{"XSDT", u64(layout::kAcpiTables + 24)},
                                                    {"FACP", fadt},
                                                    {"APIC", find("APIC")},
                                                    {"DSDT", dsdt}};
    for (const auto& [signature, address] : tables) {
      CAPTURE(signature);
      CHECK(text(address, 4) == signature);
      CHECK(u32(address + 4) > kHeaderSize);
      CHECK(sum(address, u32(address + 4)) == 0);
      CHECK(address + u32(address + 4) <= layout::kMpTable);
    }
    CHECK(text(u32(fadt + 36), 4) == "FACS");
    CHECK(u32(fadt + 36) % 64 == 0);
  }
}

TEST_CASE("a machine without 8259s says so") {
  const auto flags = [](bool has_8259) {
    const std::vector<std::byte> tables = acpi_tables(layout::kAcpiTables, 1, {0, false, has_8259});
    const std::string_view text(reinterpret_cast<const char*>(tables.data()), tables.size());
    return tables.at(text.rfind("APIC") + 40);
  };
  CHECK(flags(true) == std::byte{1});
  CHECK(flags(false) == std::byte{0});
}

TEST_CASE_FIXTURE(Fixture, "the MADT has a local APIC per processor, with the MP table's ids") {
  for (const uint32_t vcpus : {1U, 4U, 255U}) {
    CAPTURE(vcpus);
    write(vcpus);
    const auto entries = interrupt_controllers();
    CHECK(entries.count(0) == vcpus);
    uint64_t id = 0;
    for (auto [at, end] = entries.equal_range(0); at != end; ++at, ++id) {
      CHECK(u8(at->second + 3) == id);
      CHECK(u32(at->second + 4) == 1);  // enabled
    }
    REQUIRE(entries.count(1) == 1);
    const uint64_t io_apic = entries.find(1)->second;
    CHECK(u8(io_apic + 2) == vcpus);
    CHECK(u32(io_apic + 4) == layout::kIoApic);
    CHECK(u32(io_apic + 8) == 0);
    CHECK(u32(find("APIC") + 36) == layout::kLocalApic);
  }
}

TEST_CASE_FIXTURE(Fixture, "the SCI alone is overridden, and NMI is on LINT1 of all processors") {
  write(2);
  const auto entries = interrupt_controllers();
  REQUIRE(entries.count(2) == 1);
  const uint64_t override = entries.find(2)->second;
  CHECK(u8(override + 3) == layout::kIrqSci);
  CHECK(u32(override + 4) == layout::kIrqSci);
  CHECK(u16(override + 8) == 0xd);  // active high, level-triggered
  CHECK(u16(find("FACP") + 46) == layout::kIrqSci);
  REQUIRE(entries.count(4) == 1);
  const uint64_t nmi = entries.find(4)->second;
  CHECK(u8(nmi + 2) == 0xff);
  CHECK(u8(nmi + 5) == 1);
  for (const uint32_t irq : layout::kIrqsVirtio) CHECK(irq != layout::kIrqSci);
}

TEST_CASE_FIXTURE(Fixture, "the FADT names the machine's registers, old style and new") {
  write(1);
  const uint64_t fadt = find("FACP");
  CHECK(u8(fadt + 8) == 6);
  CHECK(u32(fadt + 4) == 276);
  CHECK(u32(fadt + 48) == 0);  // always in ACPI mode
  CHECK(u32(fadt + 56) == layout::kPortPm1Event);
  CHECK(u32(fadt + 64) == layout::kPortPm1Control);
  CHECK(u8(fadt + 88) == 4);
  CHECK(u8(fadt + 89) == 2);
  CHECK(u64(fadt + 140) == u32(fadt + 40));
  const std::map<uint64_t, std::pair<uint64_t, uint64_t>> registers = {
      {116, {layout::kPortReset, 8}},
      {148, {layout::kPortPm1Event, 32}},
      {172, {layout::kPortPm1Control, 16}}};
  for (const auto& [offset, place] : registers) {
    CAPTURE(offset);
    CHECK(u8(fadt + offset) == 1);  // I/O space
    CHECK(u8(fadt + offset + 1) == place.second);
    CHECK(u64(fadt + offset + 4) == place.first);
  }
  CHECK(u8(fadt + 128) == 0x06);
  CHECK((u32(fadt + 112) & 1U << 10) != 0);  // RESET_REG_SUP
  CHECK((u32(fadt + 112) & 1U << 20) == 0);  // not hardware-reduced
  CHECK((u32(fadt + 112) & 1U << 6) == 0);   // the RTC wakes by PM1 status
  CHECK(u16(fadt + 109) == 0x5);             // legacy devices, no VGA; no 8042, but a CMOS clock
  CHECK(sum(fadt + 184, 60) == 0);           // PM2, PM timer and general-purpose events: none
}

TEST_CASE_FIXTURE(Fixture, "the DSDT holds the sleep types of S3 and S5") {
  write(1);
  const uint64_t dsdt = u32(find("FACP") + 40);
  const std::string aml = text(dsdt + kHeaderSize, u32(dsdt + 4) - kHeaderSize);
  // NameOp, NameString, PackageOp, PkgLength, NumElements, then BytePrefix and a byte for each.
  const auto state = [](char digit, char type) {
    return std::string{'\x08', '_',  'S',    digit, '_',    '\x12', '\x0a', '\x04',
                       '\x0a', type, '\x0a', type,  '\x0a', '\0',   '\x0a', '\0'};
  };
  CHECK(aml == state('3', layout::kSleepTypeSuspend) + state('5', layout::kSleepTypeOff));
}

TEST_CASE("the tables end before the MP table, which ends before RAM goes on") {
  CHECK(layout::kAcpiTables + acpi_tables(layout::kAcpiTables, layout::kMaxVcpus).size() <=
        layout::kMpTable);
  CHECK(layout::kMpTable + mp_table(layout::kMpTable, layout::kMaxVcpus).size() <=
        layout::kHighRamStart);
}

TEST_CASE_FIXTURE(Fixture, "the DSDT names each virtio-mmio device, its memory and its line") {
  write(1, {.virtio_mmio = 16});
  const std::string text = dsdt();
  size_t found = 0;
  for (size_t at = 0; (at = text.find("LNRO0005", at)) != std::string::npos; ++at) ++found;
  CHECK(found == 16);
  CHECK(text.find("VR15") != std::string::npos);
  CHECK(text.find(std::string("\x00\x10\x00\xd0\x00\x10\x00\x00", 8)) != std::string::npos);
  CHECK(text.find("PCI0") == std::string::npos);
  CHECK(find("MCFG") == 0);
}

TEST_CASE_FIXTURE(Fixture, "with PCI there is a host bridge, and a table that says where ECAM is") {
  write(1, {.pci = true});
  CHECK(dsdt().find("PCI0") != std::string::npos);
  CHECK(dsdt().find("LNRO0005") == std::string::npos);
  const uint64_t mcfg = find("MCFG");
  REQUIRE(mcfg != 0);
  CHECK(u32(mcfg + 4) == 60);
  CHECK(sum(mcfg, 60) == 0);
  CHECK(u64(mcfg + 44) == layout::kPciEcam);
  CHECK(u8(mcfg + 54) == 0);
  CHECK(u8(mcfg + 55) == 0);
}

TEST_CASE_FIXTURE(Fixture, "an HPET is told of where there is one") {
  write(1);
  CHECK(find("HPET") == 0);
  write(1, {.hpet = 0x8086a201});
  const uint64_t hpet = find("HPET");
  REQUIRE(hpet != 0);
  CHECK(u32(hpet + 4) == 56);
  CHECK(sum(hpet, 56) == 0);
  CHECK(u32(hpet + 36) == 0x8086a201);
  CHECK(u8(hpet + 40) == 0);  // memory
  CHECK(u64(hpet + 44) == layout::kHpet);
}

TEST_CASE_FIXTURE(Fixture, "the largest tables leave the MP table's place alone") {
  const AcpiDevices devices{.virtio_mmio = layout::kMaxVirtioDevices, .pci = true, .hpet = 1};
  const auto tables = acpi_tables(layout::kAcpiTables, layout::kMaxVcpus, devices);
  CHECK(layout::kAcpiTables + tables.size() <= layout::kMpTable);
}

}  // namespace vmm::arch
