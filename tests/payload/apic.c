// SPDX-License-Identifier: GPL-2.0-only
// The local APIC: identity, priorities, self-sent interrupts, and the x2APIC's registers.
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/runtime.h"

#define MSR_APIC_BASE 0x1b
#define BASE_BOOTSTRAP (1u << 8)
#define BASE_X2APIC (1u << 10)
#define BASE_ENABLED (1u << 11)
#define MSR_X2APIC_ID 0x802
#define MSR_X2APIC_SELF_IPI 0x83f
#define CPUID_X2APIC (1u << 21)

#define LOW 0x40
#define HIGH 0x80

static volatile unsigned low_count, high_count;
static volatile unsigned order;

static void on_low(struct frame *frame)
{
	(void)frame;
	++low_count;
	order = order * 10 + 1;
	apic_eoi();
}

static void on_high(struct frame *frame)
{
	(void)frame;
	++high_count;
	order = order * 10 + 2;
	apic_eoi();
}

static bool bit_set(uint32_t registers, unsigned vector)
{
	return apic_read(registers + 0x10 * (vector / 32)) >> (vector % 32) & 1;
}

static void test_identity(void)
{
	uint64_t base = read_msr(MSR_APIC_BASE);

	check((base & 0xfffff000) == 0xfee00000, "the APIC is at 0xfee00000");
	check(base & BASE_BOOTSTRAP, "this is the bootstrap processor");
	check(base & BASE_ENABLED, "the APIC is enabled");
	check(apic_read(APIC_ID) >> 24 == cpuid(1, 0).ebx >> 24, "APIC id and CPUID agree");
	check((apic_read(APIC_VERSION) & 0xf0) == 0x10, "it is an integrated APIC");
	check((apic_read(APIC_VERSION) >> 16 & 0xff) >= 4, "it has at least 5 LVT entries");
}

static void test_self(void)
{
	low_count = 0;
	apic_send(0, ICR_SELF | LOW);
	check(wait_until(low_count), "an interrupt sent by shorthand to itself arrives");
	apic_send(0, ICR_ASSERT | LOW);
	check(wait_until(low_count == 2), "one sent to its id arrives");
	apic_send(0, ICR_ALL | LOW);
	check(wait_until(low_count == 3), "one sent to all arrives here too");
}

static void test_masking(void)
{
	low_count = 0;
	disable_interrupts();
	apic_send(0, ICR_SELF | LOW);
	spin(1000);
	check(low_count == 0 && bit_set(APIC_IRR, LOW), "with interrupts off it waits in IRR");
	enable_interrupts();
	check(wait_until(low_count) && !bit_set(APIC_IRR, LOW), "and comes with interrupts on");

	apic_write(APIC_TPR, LOW);
	apic_send(0, ICR_SELF | LOW);
	spin(1000);
	check(low_count == 1, "the task priority holds back its own class");
	check(apic_read(APIC_PPR) == LOW, "the processor priority follows");
	apic_send(0, ICR_SELF | HIGH);
	check(wait_until(high_count) && low_count == 1, "and lets a higher class through");
	apic_write(APIC_TPR, 0);
	check(wait_until(low_count == 2), "what it held back comes when it falls");
}

static void test_order(void)
{
	order = 0;
	disable_interrupts();
	apic_send(0, ICR_SELF | LOW);
	apic_send(0, ICR_SELF | HIGH);
	apic_send(0, ICR_SELF | HIGH);
	enable_interrupts();
	check(wait_until(order > 9), "both of two waiting interrupts come");
	spin(1000);
	check(order == 21, "the higher first, and one that waited twice once");
}

static void test_x2apic(void)
{
	uint64_t base = read_msr(MSR_APIC_BASE);
	unsigned before = low_count;

	if (!(cpuid(1, 0).ecx & CPUID_X2APIC)) {
		print("SKIP: no x2APIC\n");
		return;
	}
	write_msr(MSR_APIC_BASE, base | BASE_X2APIC);
	check(read_msr(MSR_X2APIC_ID) == 0, "the x2APIC has the same id");
	disable_interrupts();
	write_msr(MSR_X2APIC_SELF_IPI, LOW);
	check(read_msr(0x820 + LOW / 32) >> (LOW % 32) & 1, "its self-sent interrupt waits in IRR");
	set_handler(LOW, 0);
	asm volatile(EXPECT_FAULT "rdmsr" FAULT_EXPECTED : : "c"(0x80e) : "eax", "edx");
	check(fault_taken().vector == VECTOR_GENERAL_PROTECTION, "a register it lacks faults");
	check(low_count == before, "nothing came meanwhile");
}

void main(void)
{
	apic_enable();
	set_handler(LOW, on_low);
	set_handler(HIGH, on_high);
	enable_interrupts();
	test_identity();
	test_self();
	test_masking();
	test_order();
	test_x2apic();
}
