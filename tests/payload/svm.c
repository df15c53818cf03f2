// SPDX-License-Identifier: GPL-2.0-only
// Virtualization of the guest's own (APM vol. 2, chapter 15): a guest in the guest that makes one
// hypercall.
#include "runtime/interrupts.h"
#include "runtime/runtime.h"

#define CPUID_SVM (1u << 2)
#define MSR_EFER 0xc0000080
#define EFER_SVME (1ul << 12)
#define MSR_HOST_SAVE 0xc0010117

// Offsets in the VMCB (appendix B).
#define INTERCEPT_4 0x010 /* VMMCALL and VMRUN */
#define ASID 0x058
#define EXIT_CODE 0x070
#define SAVE 0x400
#define SAVE_ES 0x400
#define SAVE_CS 0x410
#define SAVE_SS 0x420
#define SAVE_DS 0x430
#define SAVE_EFER 0x4d0
#define SAVE_CR4 0x548
#define SAVE_CR3 0x550
#define SAVE_CR0 0x558
#define SAVE_RFLAGS 0x570
#define SAVE_RIP 0x578
#define SAVE_RSP 0x5d8
#define SAVE_RAX 0x5f8
#define EXIT_VMMCALL 0x81
#define CODE64 0x29b /* attributes */
#define DATA 0xc93

static uint8_t vmcb[4096] __attribute__((aligned(4096)));
static uint8_t host_save[4096] __attribute__((aligned(4096)));
static uint8_t stack[4096] __attribute__((aligned(16)));
static volatile uint64_t seen;

static void set(unsigned offset, uint64_t value)
{
	*(volatile uint64_t *)(vmcb + offset) = value;
}

static void set_segment(unsigned offset, uint16_t selector, uint16_t attributes)
{
	*(volatile uint16_t *)(vmcb + offset) = selector;
	*(volatile uint16_t *)(vmcb + offset + 2) = attributes;
	*(volatile uint32_t *)(vmcb + offset + 4) = 0xffffffff;
	*(volatile uint64_t *)(vmcb + offset + 8) = 0;
}

static void guest(void)
{
	seen = 0x5a5a;
	asm volatile("vmmcall" : : "a"(0x1234ul));
	for (;;)
		pause();
}

static uint64_t control(unsigned number)
{
	uint64_t value = 0;

	if (number == 0)
		asm volatile("movq %%cr0, %0" : "=r"(value));
	if (number == 3)
		asm volatile("movq %%cr3, %0" : "=r"(value));
	if (number == 4)
		asm volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}

static void prepare(void)
{
	*(volatile uint32_t *)(vmcb + INTERCEPT_4) = 3;
	*(volatile uint32_t *)(vmcb + ASID) = 1;
	set_segment(SAVE_ES, 0x10, DATA);
	set_segment(SAVE_CS, 0x08, CODE64);
	set_segment(SAVE_SS, 0x10, DATA);
	set_segment(SAVE_DS, 0x10, DATA);
	set(SAVE_EFER, read_msr(MSR_EFER));
	set(SAVE_CR0, control(0));
	set(SAVE_CR3, control(3));
	set(SAVE_CR4, control(4));
	set(SAVE_RFLAGS, 2);
	set(SAVE_RIP, (uint64_t)guest);
	set(SAVE_RSP, (uint64_t)stack + sizeof stack - 8);
}

void main(void)
{
	if (!(cpuid(0x80000001, 0).ecx & CPUID_SVM)) {
		asm volatile(EXPECT_FAULT "wrmsr" FAULT_EXPECTED
			     :
			     : "c"(MSR_EFER), "a"((uint32_t)(read_msr(MSR_EFER) | EFER_SVME)), "d"(0));
		check(fault_taken().vector == VECTOR_GENERAL_PROTECTION, "without SVM EFER refuses it");
		skip("the processor has no SVM");
	}
	check(cpuid(0x8000000a, 0).ebx > 1, "there are address spaces for guests");
	write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
	write_msr(MSR_HOST_SAVE, (uint64_t)host_save);
	prepare();
	disable_interrupts();
	asm volatile("clgi; pushq %%rbp; vmrun; popq %%rbp; stgi"
		     :
		     : "a"(vmcb)
		     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
		       "r15", "memory", "cc");
	check(seen == 0x5a5a, "the guest of the guest runs");
	check(*(volatile uint64_t *)(vmcb + EXIT_CODE) == EXIT_VMMCALL, "and its hypercall ends it");
	check(*(volatile uint64_t *)(vmcb + SAVE_RAX) == 0x1234, "with its registers kept");
}
