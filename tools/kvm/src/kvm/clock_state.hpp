// SPDX-License-Identifier: GPL-2.0-only
//
// The time that a guest sees, saved at a checkpoint: each processor's time-stamp counter and
// kvmclock. restore() lets both go on from there, as if no time had passed. machine/ does so while
// no vCPU is in the guest, before it restores the processors, whose timers depend on it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvm/vcpu.hpp"
#include "kvm/vm.hpp"

namespace vmm::kvm {

class ClockState {
 public:
  ClockState(const Vm& vm, std::span<Vcpu* const> vcpus);

  // Has no effect where this KVM can't set a counter's offset: time then goes on. Throws
  // SystemError.
  void restore(Vm& vm, std::span<Vcpu* const> vcpus) const;

 private:
  uint64_t host_tsc_ = 0;
  uint64_t tsc_khz_ = 0;
  std::vector<uint64_t> offsets_;  // guest's counter less the host's, by vCPU; empty: not known
  std::optional<uint64_t> kvmclock_ns_;
};

}  // namespace vmm::kvm
