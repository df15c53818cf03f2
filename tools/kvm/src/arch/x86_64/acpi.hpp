// SPDX-License-Identifier: GPL-2.0-only
//
// The ACPI tables: how a distribution's kernel, built without MP tables, learns of the processors
// and of the IOAPIC, and how it switches the machine off. Called by machine/ once, before boot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmm::arch {

// The devices that the tables announce: virtio-mmio devices in their order, the PCI bus, and an
// HPET by the low half of its capabilities register (0: none). Without 8259s an OS must not look
// for them.
struct AcpiDevices {
  size_t virtio_mmio = 0;
  bool pci = false;
  bool has_8259 = true;
  uint32_t hpet = 0;
};

// Returns RSDP, XSDT, FADT, FACS, MADT, DSDT, MCFG (if there is PCI) and HPET as one block to be
// placed at guest-physical `address` (a multiple of 64, below 4 GiB). The RSDP comes first, the
// FACS 64 bytes after it. The wiring is that of mp_table(): APIC ids 0..vcpus-1, ISA line n at
// IOAPIC pin n; the SCI alone is level-triggered.
std::vector<std::byte> acpi_tables(uint64_t address, uint32_t vcpus,
                                   const AcpiDevices& devices = {});

}  // namespace vmm::arch
