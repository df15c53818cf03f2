// SPDX-License-Identifier: GPL-2.0-only
//
// Sends the interrupt messages of PCI functions to KVM: by an ioctl, or by an irqfd if their source
// is an eventfd. Owned by machine/ with the PCI bus; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "base/interrupt.hpp"
#include "kvm/vm.hpp"
#include "machine/interrupts/routes.hpp"

namespace vmm::machine {

class VmMessages final : public base::MessageInterrupt {
 public:
  // Both outlive it.
  VmMessages(kvm::Vm& vm, Routes& routes) : vm_(vm), routes_(routes) {}

  void signal(uint64_t address, uint32_t data) override { vm_.signal_msi(address, data); }
  bool pass(int event_fd, uint64_t address, uint32_t data) override;
  void drop(int event_fd) override;

 private:
  kvm::Vm& vm_;
  Routes& routes_;
  std::mutex mutex_;                   // guards the members below
  std::map<int, uint32_t> gsi_of_fd_;  // for the eventfds that were passed to KVM
};

}  // namespace vmm::machine
