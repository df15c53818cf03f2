// SPDX-License-Identifier: GPL-2.0-only
//
// The state of processors and interrupt controllers, saved for a reset, for which KVM has no call,
// or for a rewind. machine/ saves it while it sets a machine up, before it changes anything for the
// guest, or at a checkpoint, and restores it while no vCPU is in the guest.
#pragma once

#include <memory>

#include "kvm/kvm.hpp"
#include "kvm/vcpu.hpp"
#include "kvm/vm.hpp"

namespace vmm::kvm {

// The state of one vCPU: registers, local APIC, MSRs, and whether it waits for a SIPI.
class ProcessorState {
 public:
  // Throws SystemError.
  ProcessorState(const Kvm& kvm, const Vcpu& vcpu);
  ~ProcessorState();
  ProcessorState(ProcessorState&&) noexcept;

  // Any thread, as long as the vCPU is not in the guest. The time-stamp counter keeps running.
  // Throws SystemError.
  void restore(Vcpu& vcpu) const;

 private:
  struct Values;
  std::unique_ptr<const Values> values_;
};

// The state of the PICs, the IOAPIC and the PIT in the kernel.
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
