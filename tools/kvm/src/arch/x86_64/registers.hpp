// SPDX-License-Identifier: GPL-2.0-only
//
// The processor state at the first instruction: long mode with the page tables and the GDT of
// page_tables.hpp. Called by machine/ for vCPU 0, and by the probe.
#pragma once

#include <cstdint>

#include "kvm/vcpu.hpp"

namespace vmm::arch {

// What firmware would have left in every processor: FPU, APIC pins, MTRRs, fast strings, and
// XCR0 as `xcr0` (0: leave it). Not its reset value, because QEMU's emulated SVM lets XSETBV pass
// without an exit: L1's KVM would not know what L2 enabled, and CPUID leaf 0xd would contradict it.
void reset_processor(kvm::Vcpu& vcpu, uint64_t xcr0);

// Makes `vcpu` start at `entry` in 64-bit mode, RSI pointing to the boot parameters.
void enter_long_mode(kvm::Vcpu& vcpu, uint64_t entry);

}  // namespace vmm::arch
