// SPDX-License-Identifier: GPL-2.0-only
//
// One virtual processor. machine/ creates and configures it on the set-up thread; from then on
// everything but request_exit() belongs to the vCPU's own thread (KVM serialises vCPU ioctls with
// KVM_RUN, so a call from elsewhere would wait for the guest).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/unique_fd.hpp"
#include "kvm/exit.hpp"
#include "kvm/run_page.hpp"
#include "kvm/types.hpp"
#include "kvm/vm.hpp"

namespace vmm::kvm {

class Vcpu {
 public:
  Vcpu(const Vm& vm, uint32_t id);

  void set_cpuid(std::span<const CpuidEntry> entries);
  // Throws an error that names the index when KVM refuses an MSR.
  void set_msrs(std::span<const MsrEntry> entries);
  void set_registers(const Registers& registers);
  // State without a field in SystemRegisters keeps its value.
  void set_system_registers(const SystemRegisters& registers);
  // XCR0, the extended control register that enables parts of the processor's state.
  void set_xcr0(uint64_t value);
  // Sets the x87 and SSE control words as after FNINIT.
  void reset_fpu();
  // Wires the pins as firmware does: the PIC on LINT0, NMI on LINT1.
  void wire_lint_pins();

  Registers registers() const;
  SystemRegisters system_registers() const;

  // Finishes the last exit's access and enters the guest until something needs userspace. While an
  // exit is requested it does not enter the guest, but the instruction may still need userspace: an
  // access of more than 8 bytes, or a repeated one, causes several exits. Then this returns the
  // next of them, and Interrupted only once the instruction has completed (Documentation/virt/kvm/
  // api.rst, KVM_EXIT_MMIO). Throws SystemError when KVM_RUN itself fails.
  Exit run();

  // Notifies the guest's kvmclock that the vCPU has not run for a while, so that its watchdogs do
  // not report a lockup. Has no effect on a guest without a kvmclock.
  void tell_paused();

  // Any thread. run() does not enter the guest until the request is withdrawn. The caller also
  // signals the vCPU's thread, to take it out of the guest.
  void request_exit();
  // Called on the vCPU's thread before it checks for reasons to exit: it then sees the reason of
  // any earlier request, and a later request remains set.
  void withdraw_exit_request();

  uint32_t id() const { return id_; }
  int fd() const { return fd_.get(); }
  // The page with the machine's coalesced ring, the same for all vCPUs.
  std::byte* coalesced_page() const;

 private:
  Exit decode();
  Exit decode_pio();
  Exit decode_internal_error();

  uint32_t id_;
  base::UniqueFd fd_;
  RunPage run_;
};

}  // namespace vmm::kvm
