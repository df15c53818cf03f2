// SPDX-License-Identifier: GPL-2.0-only
//
// The interrupt controllers of a split machine: local APICs in KVM, the IOAPIC in the VMM, no 8259s
// and no 8254. Connects the IOAPIC to KVM's routes. Owned by machine/, after the buses and the VM,
// and created before the first vCPU.
#pragma once

#include <utility>
#include <vector>

#include "arch/x86_64/layout.hpp"
#include "devices/io_apic.hpp"
#include "kvm/vm.hpp"
#include "machine/interrupts/routes.hpp"
#include "machine/run/dispatch.hpp"

namespace vmm::machine {

class SplitIrqchip : private devices::IoApic::Output {
 public:
  SplitIrqchip(Buses& buses, kvm::Vm& vm, Routes& routes)
      : vm_(vm), routes_(routes), io_apic_(*this) {
    vm_.create_split_irqchip(devices::IoApic::kPins);
    buses.mmio.attach(arch::layout::kIoApic, devices::IoApic::kSizeBytes, io_apic_, "ioapic");
    buses.io_apic = &io_apic_;
  }

  void reset() { io_apic_.reset(); }
  void set_line(uint32_t gsi, bool level) { io_apic_.set_line(gsi, level); }

 private:
  void set_routes(const devices::IoApic::Routes& routes) override {
    std::vector<kvm::MessageRoute> given;
    for (uint32_t pin = 0; pin < routes.size(); ++pin) {
      if (routes[pin]) given.push_back({pin, routes[pin]->address, routes[pin]->data});
    }
    routes_.set_pins(std::move(given));
  }

  void deliver(uint32_t pin) override { vm_.set_line(pin, true); }

  kvm::Vm& vm_;
  Routes& routes_;
  devices::IoApic io_apic_;
};

}  // namespace vmm::machine
