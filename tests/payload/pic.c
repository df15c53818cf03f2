// SPDX-License-Identifier: GPL-2.0-only
// The two 8259s in front of the local APIC, as a machine without an IOAPIC driver uses them.
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/runtime.h"

#define MASTER 0x20
#define SLAVE 0xa0
#define BASE 0x30
#define TEST_IRQ 0x2000

static volatile unsigned counts[16];

static void eoi(unsigned line)
{
	if (line >= 8)
		out8(SLAVE, 0x20);
	out8(MASTER, 0x20);
}

static void on_line(struct frame *frame)
{
	unsigned line = (unsigned)frame->vector - BASE;

	++counts[line];
	eoi(line);
}

// ICW1 to ICW4: edge-triggered, cascaded on line 2, 8086 mode, no automatic EOI.
static void initialise(void)
{
	out8(MASTER, 0x11);
	out8(SLAVE, 0x11);
	out8(MASTER + 1, BASE);
	out8(SLAVE + 1, BASE + 8);
	out8(MASTER + 1, 4);
	out8(SLAVE + 1, 2);
	out8(MASTER + 1, 1);
	out8(SLAVE + 1, 1);
	out8(MASTER + 1, 0xff);
	out8(SLAVE + 1, 0xff);
}

// OCW3: 0x0a reads the requests, 0x0b what is in service.
static uint8_t master(uint8_t which)
{
	out8(MASTER, which);
	return in8(MASTER);
}

static void drive(unsigned line, uint8_t level)
{
	out8((uint16_t)(TEST_IRQ + line), level);
}

static void test_line(unsigned line)
{
	counts[line] = 0;
	drive(line, 1);
	spin(1000);
	check(counts[line] == 0, "line %u is masked", line);
	out8(MASTER + 1, (uint8_t)~(1u << line));
	if (!wait_until(counts[line]))
		print("IMR %x, IRR %x, ISR %x, LINT0 %x\n", in8(MASTER + 1), master(0x0a), master(0x0b),
		      apic_read(APIC_LVT_LINT0));
	check(counts[line] == 1, "without its mask it interrupts");
	drive(line, 0);
	spin(1000);
	check(counts[line] == 1, "once for an edge");
	drive(line, 1);
	check(wait_until(counts[line] == 2), "and again for the next");
	drive(line, 0);
	out8(MASTER + 1, 0xff);
}

void main(void)
{
	for (unsigned line = 0; line < 16; ++line)
		set_handler((uint8_t)(BASE + line), on_line);
	apic_enable();
	initialise();
	check(in8(MASTER + 1) == 0xff, "the mask reads back");
	out8(MASTER + 1, 0xa5);
	check(in8(MASTER + 1) == 0xa5, "whatever it is");
	apic_write(APIC_LVT_LINT0, 7u << 8); // ExtINT
	enable_interrupts();
	out8(MASTER + 1, 0xff);
	test_line(5);
	out8(MASTER + 1, 0xfb); // the cascade
	counts[10] = 0;
	out8(SLAVE + 1, 0xfb);
	out8(TEST_IRQ + 10, 1);
	check(wait_until(counts[10] == 1), "line 10 interrupts through the cascade");
	out8(TEST_IRQ + 10, 0);
}
