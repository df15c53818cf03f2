// SPDX-License-Identifier: GPL-2.0-only
//
// The processor state at the first instruction, one for each boot protocol. Called by machine/ for
// vCPU 0, and by the probe.
#pragma once

#include <cstdint>

#include "kvm/vcpu.hpp"

namespace vmm::arch {

// Sets the state that firmware would have left in every processor: FPU, APIC pins, MTRRs, fast
// strings, and XCR0 as `xcr0` (0: unchanged). XCR0 does not get its reset value, because QEMU's
// emulated SVM lets XSETBV pass without an exit: L1's KVM would not know what L2 enabled, and CPUID
// leaf 0xd would contradict it.
void reset_processor(kvm::Vcpu& vcpu, uint64_t xcr0);

// Makes `vcpu` start at `entry` in 64-bit mode, with the page tables and the GDT of
// page_tables.hpp, and RSI pointing to the boot parameters.
void enter_long_mode(kvm::Vcpu& vcpu, uint64_t entry);

// Makes `vcpu` start in 32-bit protected mode with flat segments, paging and interrupts off, as
// Multiboot (3.2) and PVH require. There is no GDT: code that loads a segment register needs its
// own.
void enter_protected_mode(kvm::Vcpu& vcpu, uint64_t entry, uint32_t eax, uint32_t ebx);

// Makes `vcpu` start in real mode at offset 0 of the segment at `address`, a multiple of 16 below 1
// MiB. Data and stack use the same segment.
void enter_real_mode(kvm::Vcpu& vcpu, uint64_t address, uint64_t stack);

}  // namespace vmm::arch
