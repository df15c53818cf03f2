// SPDX-License-Identifier: GPL-2.0-only
// The 8254 timer: counting, one interrupt for a terminal count, many from a rate generator.
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/ioapic.h"
#include "runtime/runtime.h"

#define CHANNEL0 0x40
#define CHANNEL2 0x42
#define CONTROL 0x43
#define GATE 0x61
#define GATE_OPEN 0x01
#define OUTPUT 0x20

#define MODE_TERMINAL 0x30 /* channel 0, both bytes, mode 0 */
#define MODE_RATE 0x34     /* mode 2 */
#define CHANNEL2_TERMINAL 0xb0
#define READ_BACK_STATUS 0xe2 /* of channel 0 */
#define PIN 0 /* ISA line n is IOAPIC pin n */
#define VECTOR 0x40

static volatile unsigned ticks;

static void on_tick(struct frame *frame)
{
	(void)frame;
	++ticks;
	apic_eoi();
}

static void load(uint16_t port, uint16_t count)
{
	out8(port, (uint8_t)count);
	out8(port, (uint8_t)(count >> 8));
}

static uint16_t latched(void)
{
	uint8_t low;

	out8(CONTROL, 0x00);
	low = in8(CHANNEL0);
	return (uint16_t)(in8(CHANNEL0) << 8 | low);
}

static void test_counting(void)
{
	uint16_t first;

	out8(CONTROL, MODE_RATE);
	load(CHANNEL0, 0xffff);
	first = latched();
	check(wait_until(latched() != first), "the counter moves");
}

// The gate is left alone: KVM's channel 2 counts in this mode whether it is open or not.
static void test_output(void)
{
	bool low = false;

	out8(GATE, GATE_OPEN);
	// The longest count, 55 ms; should the host have been busy for that long, another try.
	for (unsigned round = 0; round < 5 && !low; ++round) {
		out8(CONTROL, CHANNEL2_TERMINAL);
		load(CHANNEL2, 0xffff);
		low = !(in8(GATE) & OUTPUT);
	}
	check(low, "channel 2's output is low while it counts");
	check(wait_until(in8(GATE) & OUTPUT), "and rises at the end");
}

static bool output_is_high(void)
{
	out8(CONTROL, READ_BACK_STATUS);
	return in8(CHANNEL0) & 0x80;
}

// So that no tick of an earlier mode is on its way.
static void test_status(void)
{
	out8(CONTROL, MODE_TERMINAL);
	load(CHANNEL0, 1193);
	check(wait_until(output_is_high()), "the status tells of a count that has ended");
	spin(100000); // KVM's timer goes off a little later than its counter says
}

static void test_interrupts(void)
{
	uint64_t before, once;

	ioapic_set(PIN, VECTOR);
	ticks = 0;
	out8(CONTROL, MODE_TERMINAL);
	before = read_tsc();
	load(CHANNEL0, 11932); // ten milliseconds
	check(wait_until(ticks), "a terminal count interrupts");
	once = read_tsc() - before;
	spin(100000);
	check(ticks == 1, "once");

	out8(CONTROL, MODE_RATE);
	before = read_tsc();
	load(CHANNEL0, 11932);
	check(wait_until(ticks >= 21), "a rate generator interrupts again and again");
	check((read_tsc() - before) > 8 * once / 2, "and takes its time between");
	out8(CONTROL, MODE_TERMINAL);
	ioapic_set(PIN, VECTOR | IOAPIC_MASKED);
	ticks = 0;
	load(CHANNEL0, 1193);
	spin(1000000);
	check(ticks == 0, "not through a masked pin");
}

void main(void)
{
	apic_enable();
	set_handler(VECTOR, on_tick);
	enable_interrupts();
	test_counting();
	test_output();
	test_status();
	test_interrupts();
}
