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
  // Throws when KVM refuses one of them, naming its index.
  void set_msrs(std::span<const MsrEntry> entries);
  void set_registers(const Registers& registers);
  // Everything SystemRegisters has no field for keeps its value.
  void set_system_registers(const SystemRegisters& registers);
  // XCR0, the extended control register that enables parts of the processor's state.
  void set_xcr0(uint64_t value);
  // x87 and SSE control words as after FNINIT.
  void reset_fpu();
  // What firmware leaves: the PIC on LINT0, NMI on LINT1.
  void wire_lint_pins();

  Registers registers() const;
  SystemRegisters system_registers() const;

  // Finishes the last exit's access and enters the guest until something needs userspace. While an
  // exit is requested it does not enter the guest, but the instruction may still need userspace: an
  // access of more than 8 bytes, or a repeated one, comes as several exits. Then this returns the
  // next of them, and Interrupted only once the instruction has ended (Documentation/virt/kvm/
  // api.rst, KVM_EXIT_MMIO). Throws SystemError when KVM_RUN itself fails.
  Exit run();

  // Tells the guest's kvmclock that the vCPU has not run for a while, so that its watchdogs do not
  // take that for a lockup. No matter to a guest without one.
  void tell_paused();

  // From any thread: run() does not enter the guest until the request is withdrawn. Whoever calls
  // it also signals the vCPU's thread, to take it out of the guest.
  void request_exit();
  // The vCPU's thread, before it looks at why anybody might have asked: a request that comes later
  // stays, and of an earlier one it sees the reason.
  void withdraw_exit_request();

  uint32_t id() const { return id_; }
  int fd() const { return fd_.get(); }
  // The page with the machine's coalesced ring, the same for all its vCPUs.
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
