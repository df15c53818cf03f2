// SPDX-License-Identifier: GPL-2.0-only
//
// The PCI side of a machine that has one: the root, the ways to its configuration spaces, and the
// messages by which its functions interrupt. Built and owned by machine/ before any function;
// nothing in it changes once the machine runs, but for what the guest writes.
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
  // The window's share of the MMIO bus, whose counter Root's own counters replace.
  static constexpr const char* kWindowName = "pci-window";

  // `ram_end` is where RAM below 4 GiB ends. A machine with PCI has no virtio-mmio in the way.
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

  VmMessages messages;
  pci::Root root;
  pci::ConfigPorts ports;
  pci::Ecam ecam;
};

}  // namespace vmm::machine
