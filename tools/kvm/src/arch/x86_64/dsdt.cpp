// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/dsdt.hpp"

#include <cassert>
#include <cstdio>
#include <string>
#include <string_view>

#include "arch/x86_64/aml.hpp"
#include "arch/x86_64/layout.hpp"

namespace vmm::arch {
namespace {

using aml::Bytes;

// The id by which Linux finds virtio-mmio (drivers/virtio/virtio_mmio.c).
constexpr const char* kVirtioMmioId = "LNRO0005";

// A sleep state and its types (7.4.2); an OS uses the first two elements.
Bytes sleep_state(std::string_view name, uint8_t sleep_type) {
  const Bytes type = aml::integer(sleep_type);
  return aml::name(name, aml::package({type, type, aml::integer(0), aml::integer(0)}));
}

Bytes virtio_mmio(size_t index) {
  assert(index < layout::kMaxVirtioDevices);
  char name[5];
  std::snprintf(name, sizeof name, "VR%02u", static_cast<unsigned>(index) % 100);
  const uint64_t start = layout::kVirtioMmio + index * layout::kVirtioMmioStride;
  return aml::device(
      name,
      aml::concat(
          {aml::name("_HID", aml::string(kVirtioMmioId)),
           aml::name("_UID", aml::integer(static_cast<uint32_t>(index))),
           aml::name("_CRS", aml::resources({aml::fixed_memory(start, layout::kVirtioMmioStride),
                                             aml::edge_interrupt(layout::irq_virtio(index))}))}));
}

// The host bridge of bus 0, and the board that keeps ECAM's memory from other uses: a kernel trusts
// an MCFG table whose memory a device like this one claims (PCI Firmware 3.3, 4.1.2).
Bytes pci_root() {
  const Bytes bridge = aml::device(
      "PCI0",
      aml::concat(
          {aml::name("_HID", aml::eisa_id("PNP0A03")), aml::name("_UID", aml::integer(0)),
           aml::name("_BBN", aml::integer(0)), aml::name("_SEG", aml::integer(0)),
           aml::name("_CRS",
                     aml::resources(
                         {aml::bus_numbers(0, 0), aml::io_ports(layout::kPortPciConfig, 8),
                          aml::memory_window(layout::kPciWindow, layout::kPciWindowBytes)}))}));
  const Bytes board = aml::device(
      "MBRD", aml::concat({aml::name("_HID", aml::eisa_id("PNP0C02")),
                           aml::name("_CRS", aml::resources({aml::fixed_memory(
                                                 layout::kPciEcam, layout::kPciEcamBytes)}))}));
  return aml::concat({bridge, board});
}

}  // namespace

std::vector<std::byte> dsdt_body(const AcpiDevices& devices) {
  Bytes found;
  for (size_t i = 0; i < devices.virtio_mmio; ++i) found = aml::concat({found, virtio_mmio(i)});
  if (devices.pci) found = aml::concat({found, pci_root()});
  const Bytes states = aml::concat(
      {sleep_state("_S3_", layout::kSleepTypeSuspend), sleep_state("_S5_", layout::kSleepTypeOff)});
  if (found.empty()) return states;
  return aml::concat({states, aml::scope("\\_SB_", found)});
}

}  // namespace vmm::arch
