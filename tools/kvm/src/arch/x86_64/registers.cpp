// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/registers.hpp"

#include <array>

#include "arch/x86_64/layout.hpp"
#include "kvm/types.hpp"

namespace vmm::arch {
namespace {

constexpr uint64_t kCr0Pe = 1ULL << 0;
constexpr uint64_t kCr0Mp = 1ULL << 1;
constexpr uint64_t kCr0Et = 1ULL << 4;
constexpr uint64_t kCr0Ne = 1ULL << 5;
constexpr uint64_t kCr0Pg = 1ULL << 31;
constexpr uint64_t kCr4Pae = 1ULL << 5;
constexpr uint64_t kEferLme = 1ULL << 8;
constexpr uint64_t kEferLma = 1ULL << 10;

constexpr uint32_t kMsrMiscEnable = 0x1a0;
constexpr uint64_t kMiscEnableFastStrings = 1;
constexpr uint32_t kMsrMtrrDefType = 0x2ff;
constexpr uint64_t kMtrrEnabledWriteBack = 1ULL << 11 | 6;

// Segment types: SDM vol. 3, 3.4.5.1 and 3.5.
constexpr uint8_t kCodeReadAccessed = 0xb;
constexpr uint8_t kDataWriteAccessed = 0x3;
constexpr uint8_t kTaskBusy = 0xb;

kvm::Segment flat(uint16_t selector, uint8_t type) {
  kvm::Segment segment;
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.code_or_data = 1;
  segment.page_granular = 1;
  return segment;
}

kvm::Segment flat_data() {
  kvm::Segment segment = flat(layout::kSelectorData, kDataWriteAccessed);
  segment.default_32 = 1;
  return segment;
}

void set_data_segments(kvm::SystemRegisters& system, const kvm::Segment& data) {
  system.ds = system.es = system.fs = system.gs = system.ss = data;
}

// A busy 32-bit and a busy 64-bit TSS have the same type.
kvm::Segment task() {
  kvm::Segment segment;
  segment.limit = 0x67;
  segment.selector = layout::kSelectorTask;
  segment.type = kTaskBusy;
  segment.present = 1;
  return segment;
}

}  // namespace

void reset_processor(kvm::Vcpu& vcpu, uint64_t xcr0) {
  const std::array<kvm::MsrEntry, 2> msrs = {{
      {kMsrMiscEnable, kMiscEnableFastStrings},
      // Without firmware the default type is uncached, and the kernel would use it.
      {kMsrMtrrDefType, kMtrrEnabledWriteBack},
  }};
  vcpu.set_msrs(msrs);
  vcpu.reset_fpu();
  if (xcr0 != 0) vcpu.set_xcr0(xcr0);
  vcpu.wire_lint_pins();
}

void enter_long_mode(kvm::Vcpu& vcpu, uint64_t entry) {
  kvm::SystemRegisters system = vcpu.system_registers();
  system.cs = flat(layout::kSelectorCode, kCodeReadAccessed);
  system.cs.long_mode = 1;
  set_data_segments(system, flat_data());
  system.tr = task();
  system.gdt = {layout::kGdt, 6 * 8 - 1};
  system.idt = {0, 0};
  system.cr0 = kCr0Pe | kCr0Mp | kCr0Et | kCr0Ne | kCr0Pg;
  system.cr3 = layout::kPageTables;
  system.cr4 = kCr4Pae;
  system.efer = kEferLme | kEferLma;
  vcpu.set_system_registers(system);

  kvm::Registers registers;
  registers.rip = entry;
  registers.rsi = layout::kBootParams;
  registers.rsp = layout::kBootStackTop;
  vcpu.set_registers(registers);
}

void enter_protected_mode(kvm::Vcpu& vcpu, uint64_t entry, uint32_t eax, uint32_t ebx) {
  kvm::SystemRegisters system = vcpu.system_registers();
  system.cs = flat(layout::kSelectorCode, kCodeReadAccessed);
  system.cs.default_32 = 1;
  set_data_segments(system, flat_data());
  system.tr = task();
  system.gdt = {0, 0};
  system.idt = {0, 0};
  system.cr0 = kCr0Pe | kCr0Et;
  system.cr4 = 0;
  system.efer = 0;
  vcpu.set_system_registers(system);

  kvm::Registers registers;
  registers.rip = entry;
  registers.rax = eax;
  registers.rbx = ebx;
  vcpu.set_registers(registers);
}

void enter_real_mode(kvm::Vcpu& vcpu, uint64_t address, uint64_t stack) {
  kvm::SystemRegisters system = vcpu.system_registers();  // in real mode on a new vCPU
  for (kvm::Segment* segment :
       {&system.cs, &system.ds, &system.es, &system.fs, &system.gs, &system.ss}) {
    segment->selector = static_cast<uint16_t>(address >> 4);
    segment->base = address;
  }
  vcpu.set_system_registers(system);

  kvm::Registers registers;
  registers.rsp = stack;
  vcpu.set_registers(registers);
}

}  // namespace vmm::arch
