// SPDX-License-Identifier: GPL-2.0-only
//
// The processor state that KVM sets and returns, as plain values without <linux/kvm.h>: arch/
// computes it and reports print it. Only vcpu.cpp translates between these and the ioctls.
#pragma once

#include <cstdint>
#include <optional>

namespace vmm::kvm {

struct CpuidEntry {
  uint32_t function = 0;
  uint32_t index = 0;
  bool index_matters = false;
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
};

struct MsrEntry {
  uint32_t index = 0;
  uint64_t value = 0;
};

// A line whose pulse becomes a message-signalled interrupt.
struct MessageRoute {
  uint32_t gsi = 0;
  uint64_t address = 0;
  uint32_t data = 0;
};

// A guest's write that KVM turns into an eventfd signal, without an exit.
struct Doorbell {
  uint64_t address = 0;
  std::optional<uint32_t> value;  // only this 32-bit value; without it, any write of any width
  int event_fd = -1;
};

struct Registers {
  uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0;
  uint64_t rsi = 0, rdi = 0, rsp = 0, rbp = 0;
  uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0;
  uint64_t r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  uint64_t rip = 0;
  uint64_t rflags = 2;  // bit 1 is always set
};

// A segment register with its descriptor cache; names as in SDM vol. 3, 3.4.5.
struct Segment {
  uint64_t base = 0;
  uint32_t limit = 0;
  uint16_t selector = 0;
  uint8_t type = 0;
  uint8_t present = 0;
  uint8_t dpl = 0;
  uint8_t default_32 = 0;
  uint8_t code_or_data = 0;
  uint8_t long_mode = 0;
  uint8_t page_granular = 0;
};

struct DescriptorTable {
  uint64_t base = 0;
  uint16_t limit = 0;
};

struct SystemRegisters {
  Segment cs, ds, es, fs, gs, ss, tr;
  DescriptorTable gdt, idt;
  uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
  uint64_t efer = 0;
};

}  // namespace vmm::kvm
