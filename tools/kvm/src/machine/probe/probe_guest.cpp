// SPDX-License-Identifier: GPL-2.0-only
#include "machine/probe/probe_guest.hpp"

// The port, the addresses and the vectors below repeat those of probe_guest.hpp, which top-level
// assembly cannot use; the assertions at the end compare them.
asm(R"(
    .pushsection .rodata
    .balign 16
probe_guest_begin:
    xorl %eax, %eax
    outb %al, $0x80

    movb $1, %al
    outb %al, $0x80
    movl $1, %eax
    xorl %ecx, %ecx
    cpuid
    movl %ecx, %r8d              # features: bit 26 is XSAVE

    movb $2, %al
    outb %al, $0x80
    movl $0xc0000080, %ecx       # EFER
    rdmsr
    wrmsr
    movl $0xc0000102, %ecx       # KERNEL_GS_BASE
    movl $0x12345678, %eax
    xorl %edx, %edx
    wrmsr
    rdmsr
    cmpl $0x12345678, %eax
    jne probe_guest_wrong

    movb $3, %al
    outb %al, $0x80
    movl $0x40000, %edi
    xorl %eax, %eax
    xorl %edx, %edx
    movl $7, %ebx
    movl $9, %ecx
    lock cmpxchg16b (%rdi)
    jnz probe_guest_wrong
    cmpq $9, 8(%rdi)
    jne probe_guest_wrong

    movb $4, %al
    outb %al, $0x80
    lock addl $5, (%rdi)
    movl $1, %eax
    lock xaddl %eax, (%rdi)
    cmpl $12, %eax
    jne probe_guest_wrong

    movb $5, %al
    outb %al, $0x80
    leaq probe_guest_begin(%rip), %rsi
    movl $0x40100, %edi
    movl $256, %ecx
    rep movsb
    movl $0x40200, %edi
    movl $32, %ecx
    movl $-1, %eax
    rep stosq
    leaq probe_guest_begin(%rip), %rsi
    movl $0x40100, %edi
    movl $256, %ecx
    repe cmpsb
    jne probe_guest_wrong

    movb $6, %al
    outb %al, $0x80
    movq %cr4, %rax
    orl $0x600, %eax             # OSFXSR, OSXMMEXCPT
    movq %rax, %cr4
    pxor %xmm0, %xmm0
    movups %xmm0, 0x40300
    movl $0x40400, %edi
    fxsave (%rdi)
    btl $26, %r8d
    jnc probe_guest_breakpoint
    movq %cr4, %rax
    orl $0x40000, %eax           # OSXSAVE
    movq %rax, %cr4
    xorl %ecx, %ecx
    movl $3, %eax
    xorl %edx, %edx
    xsetbv
    movl $0x40800, %edi
    xsave (%rdi)
    xrstor (%rdi)

    movl $0xd, %eax
    movl $1, %ecx
    cpuid
    btl $3, %eax                 # XSAVES
    jnc probe_guest_breakpoint
    movb $7, %al
    outb %al, $0x80
    movl $0xda0, %ecx            # IA32_XSS
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x41000, %edi
    movl $3, %eax
    xsaves (%rdi)
    xrstors (%rdi)

probe_guest_breakpoint:
    movb $8, %al
    outb %al, $0x80
    xorl %r9d, %r9d
    int3
    cmpl $1, %r9d
    jne probe_guest_wrong

    movb $9, %al
    outb %al, $0x80
    movl $0xfee00000, %edi
    movl $0x1ff, 0xf0(%rdi)      # spurious vector register: enable
    movl $0, 0x3e0(%rdi)         # timer: divide by 2
    movl $0x40, 0x320(%rdi)      # one-shot
    xorl %r10d, %r10d
    movl $100000, 0x380(%rdi)
    sti
probe_guest_wait:
    pause
    testl %r10d, %r10d
    jz probe_guest_wait
    cli

    movb $10, %al
    outb %al, $0x80
    movl $500000, %ecx
probe_guest_loop:
    decl %ecx
    jnz probe_guest_loop

    movb $0xaa, %al
    outb %al, $0x80
probe_guest_wrong:
    hlt
    jmp probe_guest_wrong

probe_guest_on_breakpoint:
    incl %r9d
    iretq

probe_guest_on_timer:
    incl %r10d
    movl $0, 0xb0(%rdi)          # end of interrupt
    iretq
probe_guest_end:
    .popsection
)");

extern "C" {
extern const std::byte probe_guest_begin[];
extern const std::byte probe_guest_on_breakpoint[];
extern const std::byte probe_guest_on_timer[];
extern const std::byte probe_guest_end[];
}

namespace vmm::machine {

static_assert(kProbePort == 0x80 && kProbeDone == 0xaa && kProbeStepLoop == 10);
static_assert(kProbeScratch == 0x40000 && kTimerVector == 0x40);

ProbeGuest probe_guest() {
  const auto offset = [](const std::byte* label) {
    return static_cast<uint64_t>(label - probe_guest_begin);
  };
  return {std::span(probe_guest_begin, offset(probe_guest_end)), offset(probe_guest_on_breakpoint),
          offset(probe_guest_on_timer)};
}

}  // namespace vmm::machine
