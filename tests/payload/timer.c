// SPDX-License-Identifier: GPL-2.0-only
// The local APIC's timer: one shot, periodic, by TSC deadline, and masked.
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/runtime.h"

#define VECTOR 0x40
#define DIVIDE_BY_1 0xb
#define DIVIDE_BY_16 0x3
#define COUNT 1000000
#define MSR_TSC_DEADLINE 0x6e0
#define CPUID_TSC_DEADLINE (1u << 24)

static volatile unsigned ticks;
static volatile uint64_t fired_at;

static void on_tick(struct frame *frame)
{
	(void)frame;
	fired_at = read_tsc();
	++ticks;
	apic_eoi();
}

static void start(uint32_t mode, uint32_t divide, uint32_t count)
{
	apic_write(APIC_LVT_TIMER, mode | VECTOR);
	apic_write(APIC_TIMER_DIVIDE, divide);
	// KVM keeps the end of a masked timer and delivers it now.
	ticks = 0;
	apic_write(APIC_TIMER_INITIAL, count);
}

static void test_one_shot(void)
{
	uint32_t left;

	start(LVT_MASKED, DIVIDE_BY_16, 0xffffffff);
	left = apic_read(APIC_TIMER_CURRENT);
	check(left != 0, "the count is there");
	check(wait_until(apic_read(APIC_TIMER_CURRENT) < left), "it goes down");
	start(0, DIVIDE_BY_1, COUNT);
	check(wait_until(ticks), "one shot interrupts");
	check(apic_read(APIC_TIMER_CURRENT) == 0, "and the count stays at 0");
	spin(10000);
	check(ticks == 1, "it does so once");
	start(LVT_MASKED, DIVIDE_BY_1, COUNT);
	check(wait_until(apic_read(APIC_TIMER_CURRENT) == 0), "a masked timer runs out");
	spin(200000); // KVM's timer goes off a little later than its counter says
	check(ticks == 0, "in silence");
	start(0, DIVIDE_BY_16, 0x10000000);
	apic_write(APIC_TIMER_INITIAL, 0);
	check(apic_read(APIC_TIMER_CURRENT) == 0 && ticks == 0, "a count of 0 stops it");
}

static void test_periodic(void)
{
	start(LVT_PERIODIC, DIVIDE_BY_1, COUNT);
	check(wait_until(ticks >= 10), "periodic interrupts again and again");
	check(apic_read(APIC_TIMER_INITIAL) == COUNT, "its initial count reads back");
	apic_write(APIC_TIMER_INITIAL, 0);
	spin(10000);
	ticks = 0;
	spin(100000);
	check(ticks == 0, "until it is stopped");
}

static void test_deadline(void)
{
	uint64_t deadline;

	if (!(cpuid(1, 0).ecx & CPUID_TSC_DEADLINE)) {
		print("SKIP: no TSC deadline\n");
		return;
	}
	ticks = 0;
	apic_write(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR);
	deadline = read_tsc() + 10000000;
	write_msr(MSR_TSC_DEADLINE, deadline);
	check(wait_until(ticks), "a deadline interrupts");
	check(fired_at >= deadline, "and not before it");
	check(read_msr(MSR_TSC_DEADLINE) == 0, "it is disarmed then");
	write_msr(MSR_TSC_DEADLINE, 1);
	check(wait_until(ticks == 2), "one in the past interrupts at once");
	write_msr(MSR_TSC_DEADLINE, read_tsc() + 1000000000000);
	write_msr(MSR_TSC_DEADLINE, 0);
	spin(10000);
	check(ticks == 2, "0 takes it back");
}

void main(void)
{
	apic_enable();
	set_handler(VECTOR, on_tick);
	enable_interrupts();
	test_one_shot();
	test_periodic();
	test_deadline();
}
