// SPDX-License-Identifier: GPL-2.0-only
// Model-specific registers: those that keep a value, those that refuse one, those not there.
#include "runtime/interrupts.h"
#include "runtime/runtime.h"

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_SYSENTER_EIP 0x176
#define MSR_PAT 0x277
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define EFER_LME_LMA 0x500
#define NOWHERE 0x12345

static uint64_t fault_of_write(uint32_t index, uint64_t value)
{
	asm volatile(EXPECT_FAULT "wrmsr" FAULT_EXPECTED
		     :
		     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
	return fault_taken().vector;
}

static uint64_t fault_of_read(uint32_t index)
{
	asm volatile(EXPECT_FAULT "rdmsr" FAULT_EXPECTED : : "c"(index) : "eax", "edx");
	return fault_taken().vector;
}

static void keeps(const char *name, uint32_t index, uint64_t value)
{
	uint64_t before = read_msr(index), fault = fault_of_write(index, value);

	check(fault == 0 && read_msr(index) == value, "%s keeps %lx", name, value);
	write_msr(index, before);
}

static void refuses(const char *name, uint32_t index, uint64_t value)
{
	uint64_t before = read_msr(index), fault = fault_of_write(index, value);

	check(fault == VECTOR_GENERAL_PROTECTION, "%s refuses %lx", name, value);
	check(read_msr(index) == before, "and stays as it was");
}

void main(void)
{
	uint64_t first = read_msr(MSR_TSC);

	check(read_msr(MSR_TSC) > first, "the time-stamp counter's register goes up");
	check(read_tsc() > first, "as RDTSC does");
	check((read_msr(MSR_EFER) & EFER_LME_LMA) == EFER_LME_LMA, "EFER says long mode");

	keeps("STAR", MSR_STAR, 0x0023001000000000);
	keeps("LSTAR", MSR_LSTAR, 0xffffffff81000000);
	keeps("FMASK", MSR_FMASK, 0x47700);
	keeps("FS base", MSR_FS_BASE, 0x123456789abc);
	keeps("GS base", MSR_GS_BASE, 0xffff888012345678);
	keeps("kernel GS base", MSR_KERNEL_GS_BASE, 0x7fff12345678);
	keeps("SYSENTER's entry", MSR_SYSENTER_EIP, 0x1000);
	keeps("PAT", MSR_PAT, 0x0007040600070406);

	// Those that KVM lets the processor write itself are left out: QEMU's emulated SVM, under a lab
	// host, takes addresses there that are not canonical.
	refuses("the APIC's base", MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | 1);
	refuses("PAT", MSR_PAT, 2);
	refuses("EFER", MSR_EFER, 1ul << 63);

	check(fault_of_read(NOWHERE) == VECTOR_GENERAL_PROTECTION, "reading no register faults");
	check(fault_of_write(NOWHERE, 0) == VECTOR_GENERAL_PROTECTION, "so does writing one");
}
