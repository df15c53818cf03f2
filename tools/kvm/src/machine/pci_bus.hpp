// SPDX-License-Identifier: GPL-2.0-only
//
// The PCI side of a machine that has one: the root, the ways to its configuration spaces, and the
// messages by which its functions interrupt. Built and owned by machine/ before any function;
// nothing in it changes once the machine runs, but for what the guest writes.
#pragma once

#include "arch/x86_64/layout.hpp"
#include "base/interrupt.hpp"
#include "kvm/vm.hpp"
#include "machine/dispatch.hpp"
#include "pci/config_access.hpp"
#include "pci/root.hpp"

namespace vmm::machine {

// Any thread: KVM takes a message as a whole.
class VmMessages final : public base::MessageInterrupt {
 public:
  explicit VmMessages(kvm::Vm& vm) : vm_(vm) {}
  void signal(uint64_t address, uint32_t data) override { vm_.signal_msi(address, data); }

 private:
  kvm::Vm& vm_;
};

struct PciBus {
  static_assert(pci::Ecam::kSizeBytes == arch::layout::kPciEcamBytes);
  static_assert(arch::layout::kPciWindow + arch::layout::kPciWindowBytes ==
                arch::layout::kPciEcam);
  // The window's share of the MMIO bus, whose counter Root's own counters replace.
  static constexpr const char* kWindowName = "pci-window";

  // `ram_end` is where RAM below 4 GiB ends. A machine with PCI has no virtio-mmio in the way.
  PciBus(kvm::Vm& vm, Buses& buses, bus::Device& reset_control, uint64_t ram_end)
      : messages(vm),
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
