// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/vcpu.hpp"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "kvm/cpuid_buffer.hpp"
#include "kvm/segment.hpp"

namespace vmm::kvm {
namespace {

// Local APIC register offsets and LVT delivery modes: SDM vol. 3, 11.5.1.
constexpr size_t kLvtLint0 = 0x350;
constexpr size_t kLvtLint1 = 0x360;
constexpr uint8_t kDeliveryNmi = 4;
constexpr uint8_t kDeliveryExtInt = 7;

void set_delivery_mode(kvm_lapic_state& lapic, size_t offset, uint8_t mode) {
  // The delivery mode is bits 10:8, the mask bit 16.
  lapic.regs[offset + 1] = static_cast<char>((lapic.regs[offset + 1] & ~7) | mode);
  lapic.regs[offset + 2] = static_cast<char>(lapic.regs[offset + 2] & ~1);
}

std::string suberror_name(uint32_t suberror) {
  switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
      return "KVM could not emulate an instruction";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
      return "simultaneous exceptions";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
      return "exit while delivering an event";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
      return "exit reason unknown to KVM";
    default:
      return "suberror " + std::to_string(suberror);
  }
}

std::string hex(uint64_t value) {
  char text[19];
  std::snprintf(text, sizeof text, "%#llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace

Vcpu::Vcpu(const Vm& vm, uint32_t id)
    : id_(id),
      fd_(base::check(ioctl(vm.fd(), KVM_CREATE_VCPU, id), "KVM_CREATE_VCPU")),
      run_(fd_.get(), vm.host().run_size()) {}

void Vcpu::set_cpuid(std::span<const CpuidEntry> entries) {
  CpuidBuffer buffer(entries);
  base::check(ioctl(fd_.get(), KVM_SET_CPUID2, buffer.get()), "KVM_SET_CPUID2");
}

void Vcpu::set_msrs(std::span<const MsrEntry> entries) {
  for (const MsrEntry& entry : entries) {
    // One at a time: KVM stops at the first it refuses and does not say why.
    // (kvm_msrs ends in a flexible array, which ISO C++ cannot have; so the entry is copied in.)
    std::vector<std::byte> storage(sizeof(kvm_msrs) + sizeof(kvm_msr_entry));
    auto* request = new (storage.data()) kvm_msrs{};
    request->nmsrs = 1;
    kvm_msr_entry wanted{};
    wanted.index = entry.index;
    wanted.data = entry.value;
    std::memcpy(storage.data() + sizeof(kvm_msrs), &wanted, sizeof wanted);
    const int done = base::check(ioctl(fd_.get(), KVM_SET_MSRS, request), "KVM_SET_MSRS");
    if (done != 1) throw base::SystemError("KVM_SET_MSRS of " + hex(entry.index), EINVAL);
  }
}

void Vcpu::set_registers(const Registers& from) {
  kvm_regs to{};
  to.rax = from.rax, to.rbx = from.rbx, to.rcx = from.rcx, to.rdx = from.rdx;
  to.rsi = from.rsi, to.rdi = from.rdi, to.rsp = from.rsp, to.rbp = from.rbp;
  to.r8 = from.r8, to.r9 = from.r9, to.r10 = from.r10, to.r11 = from.r11;
  to.r12 = from.r12, to.r13 = from.r13, to.r14 = from.r14, to.r15 = from.r15;
  to.rip = from.rip, to.rflags = from.rflags;
  base::check(ioctl(fd_.get(), KVM_SET_REGS, &to), "KVM_SET_REGS");
}

Registers Vcpu::registers() const {
  kvm_regs from{};
  base::check(ioctl(fd_.get(), KVM_GET_REGS, &from), "KVM_GET_REGS");
  Registers to;
  to.rax = from.rax, to.rbx = from.rbx, to.rcx = from.rcx, to.rdx = from.rdx;
  to.rsi = from.rsi, to.rdi = from.rdi, to.rsp = from.rsp, to.rbp = from.rbp;
  to.r8 = from.r8, to.r9 = from.r9, to.r10 = from.r10, to.r11 = from.r11;
  to.r12 = from.r12, to.r13 = from.r13, to.r14 = from.r14, to.r15 = from.r15;
  to.rip = from.rip, to.rflags = from.rflags;
  return to;
}

void Vcpu::set_system_registers(const SystemRegisters& from) {
  kvm_sregs to{};
  base::check(ioctl(fd_.get(), KVM_GET_SREGS, &to), "KVM_GET_SREGS");
  to.cs = to_kvm(from.cs), to.ds = to_kvm(from.ds), to.es = to_kvm(from.es);
  to.fs = to_kvm(from.fs), to.gs = to_kvm(from.gs), to.ss = to_kvm(from.ss);
  to.tr = to_kvm(from.tr);
  to.gdt = to_kvm(from.gdt), to.idt = to_kvm(from.idt);
  to.cr0 = from.cr0, to.cr2 = from.cr2, to.cr3 = from.cr3, to.cr4 = from.cr4;
  to.efer = from.efer;
  base::check(ioctl(fd_.get(), KVM_SET_SREGS, &to), "KVM_SET_SREGS");
}

SystemRegisters Vcpu::system_registers() const {
  kvm_sregs from{};
  base::check(ioctl(fd_.get(), KVM_GET_SREGS, &from), "KVM_GET_SREGS");
  SystemRegisters to;
  to.cs = from_kvm(from.cs), to.ds = from_kvm(from.ds), to.es = from_kvm(from.es);
  to.fs = from_kvm(from.fs), to.gs = from_kvm(from.gs), to.ss = from_kvm(from.ss);
  to.tr = from_kvm(from.tr);
  to.gdt = from_kvm(from.gdt), to.idt = from_kvm(from.idt);
  to.cr0 = from.cr0, to.cr2 = from.cr2, to.cr3 = from.cr3, to.cr4 = from.cr4;
  to.efer = from.efer;
  return to;
}

void Vcpu::set_xcr0(uint64_t value) {
  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].xcr = 0;
  xcrs.xcrs[0].value = value;
  base::check(ioctl(fd_.get(), KVM_SET_XCRS, &xcrs), "KVM_SET_XCRS");
}

void Vcpu::reset_fpu() {
  kvm_fpu fpu{};
  fpu.fcw = 0x37f;
  fpu.mxcsr = 0x1f80;
  base::check(ioctl(fd_.get(), KVM_SET_FPU, &fpu), "KVM_SET_FPU");
}

void Vcpu::wire_lint_pins() {
  kvm_lapic_state lapic{};
  base::check(ioctl(fd_.get(), KVM_GET_LAPIC, &lapic), "KVM_GET_LAPIC");
  set_delivery_mode(lapic, kLvtLint0, kDeliveryExtInt);
  set_delivery_mode(lapic, kLvtLint1, kDeliveryNmi);
  base::check(ioctl(fd_.get(), KVM_SET_LAPIC, &lapic), "KVM_SET_LAPIC");
}

Exit Vcpu::run() {
  if (ioctl(fd_.get(), KVM_RUN, 0) == 0) return decode();
  // EAGAIN: a vCPU that waits for its INIT/SIPI was woken.
  if (errno == EINTR || errno == EAGAIN) return Interrupted{};
  // KVM reports -EFAULT together with a filled exit for memory it cannot reach.
  throw base::SystemError("KVM_RUN", errno);
}

void Vcpu::tell_paused() {
  // EINVAL: this guest has set up no kvmclock.
  static_cast<void>(ioctl(fd_.get(), KVM_KVMCLOCK_CTRL, 0));
}

void Vcpu::request_exit() {
  __atomic_store_n(&run_.get()->immediate_exit, uint8_t{1}, __ATOMIC_RELEASE);
}

void Vcpu::withdraw_exit_request() {
  if (__atomic_load_n(&run_.get()->immediate_exit, __ATOMIC_RELAXED) == 0) return;
  // An exchange, so that writes from before the request are visible.
  __atomic_exchange_n(&run_.get()->immediate_exit, uint8_t{0}, __ATOMIC_ACQ_REL);
}

std::byte* Vcpu::coalesced_page() const { return run_.page(KVM_COALESCED_MMIO_PAGE_OFFSET); }

Exit Vcpu::decode() {
  const kvm_run& run = *run_.get();
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      return decode_pio();
    case KVM_EXIT_MMIO: {
      auto* data = reinterpret_cast<std::byte*>(run_.get()->mmio.data);
      return Mmio{run.mmio.is_write ? Direction::kWrite : Direction::kRead, run.mmio.phys_addr,
                  std::span(data, run.mmio.len)};
    }
    case KVM_EXIT_HLT:
      return Halt{};
    case KVM_EXIT_SHUTDOWN:
      return Shutdown{};
    case KVM_EXIT_INTR:
      return Interrupted{};
    case KVM_EXIT_DEBUG:
      return Debug{};
    case KVM_EXIT_HYPERCALL:
      return Hypercall{run.hypercall.nr, run.hypercall.args[0],
                       std::as_writable_bytes(std::span(&run_.get()->hypercall.ret, 1))};
    case KVM_EXIT_IOAPIC_EOI:
      return IoApicEoi{run.eoi.vector};
    case KVM_EXIT_SYSTEM_EVENT:
      return SystemEvent{run.system_event.type};
    case KVM_EXIT_FAIL_ENTRY:
      return FailEntry{run.fail_entry.hardware_entry_failure_reason, run.fail_entry.cpu};
    case KVM_EXIT_INTERNAL_ERROR:
      return decode_internal_error();
    default:
      return Unknown{run.exit_reason};
  }
}

Exit Vcpu::decode_pio() {
  const auto& io = run_.get()->io;
  auto* data = reinterpret_cast<std::byte*>(run_.get()) + io.data_offset;
  return Pio{io.direction == KVM_EXIT_IO_OUT ? Direction::kWrite : Direction::kRead, io.port,
             io.size, io.count, std::span(data, size_t{io.size} * io.count)};
}

Exit Vcpu::decode_internal_error() {
  const kvm_run& run = *run_.get();
  std::string detail = suberror_name(run.internal.suberror);
  const auto& failure = run.emulation_failure;
  if (failure.suberror == KVM_INTERNAL_ERROR_EMULATION && failure.ndata >= 3 &&
      (failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0) {
    detail += " (bytes";
    for (uint8_t i = 0; i < failure.insn_size && i < sizeof failure.insn_bytes; ++i) {
      char byte[4];
      std::snprintf(byte, sizeof byte, " %02x", failure.insn_bytes[i]);
      detail += byte;
    }
    return InternalError{run.internal.suberror, detail + ")"};
  }
  for (uint32_t i = 0; i < run.internal.ndata && i < std::size(run.internal.data); ++i) {
    detail += (i == 0 ? ", data " : " ") + hex(run.internal.data[i]);
  }
  return InternalError{run.internal.suberror, detail};
}

}  // namespace vmm::kvm
