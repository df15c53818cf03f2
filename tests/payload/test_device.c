// SPDX-License-Identifier: GPL-2.0-only
// The test device itself: its latch, its interrupt lines, and the page that is flushed.
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/ioapic.h"
#include "runtime/runtime.h"

#define LATCH 0xe0
#define BYTE_LATCH 0xe8
#define FLUSH 0xe4
#define LINES 0x2000
#define VECTOR 0x40
#define PIN 19

static volatile unsigned count;
static volatile unsigned lower_at;
static uint32_t page[1024] __attribute__((aligned(4096)));

static void line(unsigned level)
{
	out8(LINES + PIN, (uint8_t)level);
}

static void on_line(struct frame *frame)
{
	(void)frame;
	// Nobody else gets to run while a level lasts.
	if (++count == lower_at)
		line(0);
	apic_eoi();
}

static void test_latch(void)
{
	out32(LATCH, 0x44332211);
	check(in8(LATCH + 2) == 0x33 && in16(LATCH + 2) == 0x4433, "the latch in each width");
	out8(LATCH, 0xaa);
	check(in32(BYTE_LATCH) == 0x443322aa, "is the same at both places");
}

static void test_edge(void)
{
	ioapic_set(PIN, VECTOR);
	count = 0;
	line(1);
	check(wait_until(count == 1), "a rising edge interrupts");
	line(1);
	spin(1000);
	check(count == 1, "a line that stays up does not");
	line(0);
	line(1);
	check(wait_until(count == 2), "the next edge does");
	line(0);
}

static void test_level(void)
{
	ioapic_set(PIN, VECTOR | IOAPIC_LEVEL);
	count = 0;
	lower_at = 1;
	line(1);
	check(wait_until(count == 1), "a level interrupts");
	spin(1000);
	check(count == 1, "once when its handler lowers it");
	check(!(ioapic_get(PIN) & IOAPIC_REMOTE_IRR), "and the end of interrupt is noted");
	lower_at = 5;
	line(1);
	check(wait_until(count == 5), "again and again until then");
	lower_at = 0;
	ioapic_set(PIN, VECTOR | IOAPIC_MASKED);
}

static void test_flush(void)
{
	for (unsigned i = 0; i < 1024; ++i)
		page[i] = i * i;
	for (unsigned round = 0; round < 100; ++round) {
		out32(FLUSH, (uint32_t)(uint64_t)page);
		page[round]++;
	}
	check(page[0] == 1 && page[99] == 99 * 99 + 1 && page[1023] == 1023 * 1023,
	      "a page that is flushed keeps its content");
	out32(FLUSH, 0xfffff000);
	check(true, "flushing what is no memory does no harm");
}

void main(void)
{
	apic_enable();
	set_handler(VECTOR, on_line);
	enable_interrupts();
	check((ioapic_version() >> 16 & 0xff) == 23, "the IOAPIC has 24 pins");
	test_latch();
	test_edge();
	test_level();
	test_flush();
}
