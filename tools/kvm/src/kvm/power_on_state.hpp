// SPDX-License-Identifier: GPL-2.0-only
//
// The state in which processors and interrupt controllers begin, kept so that they can go back to
// it: KVM itself has no call for a reset. machine/ makes these while it sets a machine up, before
// anything is changed for the guest's sake, and restores them while no vCPU is in the guest.
#pragma once

#include <memory>

#include "kvm/kvm.hpp"
#include "kvm/vcpu.hpp"
#include "kvm/vm.hpp"

namespace vmm::kvm {

// Of one vCPU: registers, local APIC, MSRs, and whether it waits for a SIPI.
class ProcessorState {
 public:
  // Throws SystemError.
  ProcessorState(const Kvm& kvm, const Vcpu& vcpu);
  ~ProcessorState();
  ProcessorState(ProcessorState&&) noexcept;

  // On any thread, as long as the vCPU is not in the guest. The time-stamp counter goes on. Throws
  // SystemError.
  void restore(Vcpu& vcpu) const;

 private:
  struct Values;
  std::unique_ptr<const Values> values_;
};

// Of the PICs, the IOAPIC and the PIT in the kernel.
class ChipState {
 public:
  explicit ChipState(const Vm& vm);
  ~ChipState();

  // Any thread.
  void restore(Vm& vm) const;

 private:
  struct Values;
  std::unique_ptr<const Values> values_;
};

}  // namespace vmm::kvm
