// SPDX-License-Identifier: GPL-2.0-only
// The HPET: where ACPI says, counting, and its timers in each mode.
#include "runtime/acpi.h"
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/ioapic.h"
#include "runtime/runtime.h"

#define TABLE_ADDRESS 44
#define VECTOR 0x40
#define CAPABILITIES 0x000
#define CONFIG 0x010
#define STATUS 0x020
#define COUNTER 0x0f0
#define TIMER(n) (0x100 + 0x20 * (n))
#define COMPARATOR(n) (0x108 + 0x20 * (n))
#define ENABLE 1u
#define LEGACY 2u
#define LEVEL (1u << 1)
#define INTERRUPT (1u << 2)
#define PERIODIC (1u << 3)
#define SET_ACCUMULATOR (1u << 6)
#define LEGACY_PIN 0 /* ISA line 0 is IOAPIC pin 0, or 2 */
#define MILLISECOND (1000000000000ul / period) /* in ticks of `period` femtoseconds */

static volatile uint8_t *base;
static uint64_t period;
static volatile unsigned ticks;

static uint64_t get(uint32_t offset)
{
	return *(volatile uint64_t *)(base + offset);
}

static void set(uint32_t offset, uint64_t value)
{
	*(volatile uint64_t *)(base + offset) = value;
}

static void on_tick(struct frame *frame)
{
	(void)frame;
	++ticks;
	set(STATUS, ~0ul);
	apic_eoi();
}

static void test_counter(void)
{
	uint64_t first;

	set(CONFIG, 0);
	first = get(COUNTER);
	spin(1000);
	check(get(COUNTER) == first, "the counter stands while it is off");
	set(COUNTER, 0x1234);
	check(get(COUNTER) == 0x1234, "and can be set then");
	set(CONFIG, ENABLE);
	check(wait_until(get(COUNTER) > 0x1234), "it goes up when it is on");
	check(*(volatile uint32_t *)(base + COUNTER + 4) == 0, "its halves can be read alone");
}

static unsigned first_pin(uint32_t routes)
{
	unsigned pin = 0;

	while (!(routes >> pin & 1))
		++pin;
	return pin;
}

/*
 * Starts timer `number`, which is due soon, and then each `period` ticks if that is not 0. Returns
 * the time it is due at.
 *
 * A time that the counter has already passed comes only after the counter has wrapped, and the host
 * may be busy between our look at the counter and the write. So a time is tried that is always too
 * near, and then one twice as far ahead, until the counter has not reached it when all is written.
 */
static uint64_t start(unsigned number, uint64_t config, uint64_t period_ticks)
{
	uint64_t ahead = 1, due;

	if (period_ticks)
		config |= PERIODIC | SET_ACCUMULATOR;
	do {
		set(TIMER(number), 0);
		spin(1000);
		ticks = 0;
		set(TIMER(number), config);
		due = get(COUNTER) + ahead;
		set(COMPARATOR(number), due);
		if (period_ticks)
			set(COMPARATOR(number), period_ticks);
		ahead *= 2;
	} while (get(COUNTER) >= due);
	return due;
}

static void test_timer(unsigned pin)
{
	uint64_t due;

	ioapic_set(pin, VECTOR);
	due = start(0, INTERRUPT | pin << 9, 0);
	check(wait_until(ticks), "a timer interrupts");
	check(get(COUNTER) >= due, "and not too early");
	spin(10000);
	check(ticks == 1, "once");
	start(0, INTERRUPT | pin << 9, 5 * MILLISECOND);
	check(wait_until(ticks >= 6), "a periodic one again and again");
	set(TIMER(0), 0);
	spin(10000);
	ticks = 0;
	spin(100000);
	check(ticks == 0, "until it is stopped");
	ioapic_set(pin, VECTOR | IOAPIC_LEVEL);
	start(1, INTERRUPT | LEVEL | pin << 9, 0);
	check(wait_until(ticks), "a level interrupts");
	spin(10000);
	check(ticks == 1 && get(STATUS) == 0, "until its status is cleared: %u ticks, status %lx",
	      ticks, get(STATUS));
	set(TIMER(1), 0);
	ioapic_set(pin, VECTOR | IOAPIC_MASKED);
}

static void test_legacy(void)
{
	set(CONFIG, ENABLE | LEGACY);
	ioapic_set(LEGACY_PIN, VECTOR);
	ioapic_set(2, VECTOR);
	start(0, INTERRUPT, 0);
	check(wait_until(ticks), "in legacy mode a timer has the 8254's line");
	set(CONFIG, ENABLE);
	ioapic_set(LEGACY_PIN, VECTOR | IOAPIC_MASKED);
	ioapic_set(2, VECTOR | IOAPIC_MASKED);
}

void main(void)
{
	const uint8_t *table = acpi_table("HPET");
	uint64_t capabilities;

	if (!table)
		skip("the machine has no HPET");
	base = (volatile uint8_t *)(uint64_t)acpi_u32(table + TABLE_ADDRESS);
	capabilities = get(CAPABILITIES);
	period = capabilities >> 32;
	check(period > 0 && period <= 100000000, "a tick has %lu femtoseconds", period);
	check((capabilities >> 8 & 0x1f) >= 2, "it has three timers at least");
	apic_enable();
	set_handler(VECTOR, on_tick);
	enable_interrupts();
	test_counter();
	test_timer(first_pin((uint32_t)(get(TIMER(0)) >> 32)));
	test_legacy();
}
