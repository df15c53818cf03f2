// SPDX-License-Identifier: GPL-2.0-only
//
// The PCI bus of a machine: the root, access to its configuration spaces, and the messages by which
// its functions interrupt. Built and owned by machine/ before any function; once the machine runs,
// only the guest's writes change it.
#pragma once

#include "arch/x86_64/layout.hpp"
#include "kvm/vm.hpp"
#include "machine/interrupts/routes.hpp"
#include "machine/interrupts/vm_messages.hpp"
#include "machine/run/dispatch.hpp"
#include "pci/config_access.hpp"
#include "pci/root.hpp"

namespace vmm::machine {

struct PciBus {
  static_assert(pci::Ecam::kSizeBytes == arch::layout::kPciEcamBytes);
  static_assert(arch::layout::kPciWindow + arch::layout::kPciWindowBytes == arch::layout::kPciEcam);
  // The window's range on the MMIO bus; Root's own counters replace its counter.
  static constexpr const char* kWindowName = "pci-window";

  // `ram_end` is the end of RAM below 4 GiB. A machine with PCI has no virtio-mmio devices above
  // it.
  PciBus(kvm::Vm& vm, Routes& routes, Buses& buses, bus::Device& reset_control, uint64_t ram_end)
      : messages(vm, routes),
        root(ram_end, arch::layout::kPciEcam - ram_end, arch::layout::kPciWindow),
        ports(root, reset_control),
        ecam(root) {
    buses.pio.attach(arch::layout::kPortPciConfig, pci::ConfigPorts::kSizeBytes, ports,
                     "pci-config");
    buses.mmio.attach(ram_end, arch::layout::kPciEcam - ram_end, root, kWindowName);
    buses.mmio.attach(arch::layout::kPciEcam, arch::layout::kPciEcamBytes, ecam, "pci-ecam");
  }

  // Without its devices, which are other slots' (machine/rewind.cpp).
  void checkpoint() {
    root.checkpoint();
    ports.checkpoint();
  }
  void rewind() {
    root.rewind();
    ports.rewind();
  }

  VmMessages messages;
  pci::Root root;
  pci::ConfigPorts ports;
  pci::Ecam ecam;
};

}  // namespace vmm::machine
