// SPDX-License-Identifier: GPL-2.0-only
//
// The host's PCI functions that are assigned to a machine (VFIO): opens them, gives them access to
// the guest's memory, and puts them on its bus. Owned by machine/, after the bus, and created
// before the first vCPU.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "kvm/vm.hpp"
#include "machine/parts/pci_bus.hpp"
#include "memory/guest_memory.hpp"
#include "vfio/container.hpp"
#include "vfio/function.hpp"

namespace vmm::machine {

// Manages memory slots of the VM, from `first_slot` on, within the PCI bus's address space.
class VmWindows final : public vfio::GuestWindows {
 public:
  VmWindows(kvm::Vm& vm, uint32_t first_slot, uint64_t start, uint64_t end)
      : vm_(vm), next_slot_(first_slot), start_(start), end_(end) {}

  uint32_t reserve() override { return next_slot_++; }
  bool place(uint32_t window, uint64_t address, std::span<std::byte> memory) override;
  void remove(uint32_t window) override { vm_.remove_memory(window); }

 private:
  kvm::Vm& vm_;
  uint32_t next_slot_;
  const uint64_t start_;
  const uint64_t end_;
};

class AssignedFunctions {
 public:
  // Throws a base::ConfigError with the function and a hint.
  AssignedFunctions(kvm::Vm& vm, memory::GuestMemory& memory, base::EventLoop& loop, PciBus& bus,
                    const std::vector<std::string>& addresses);

 private:
  VmWindows windows_;
  vfio::Container container_;
  std::vector<std::unique_ptr<vfio::Function>> functions_;
};

}  // namespace vmm::machine
