// SPDX-License-Identifier: GPL-2.0-only
// Accesses that reach over an end: of a device's ports, of its memory, of RAM.
#include "runtime/runtime.h"

#define LATCH 0xe0
#define LAST 0xff00fffcul /* the last word of the test device's memory */

// Ports are bytes: an access that no device takes whole is made byte by byte, as on an ISA bus.
static void test_ports(void)
{
	out32(LATCH, 0x44332211);
	check(in32(LATCH + 2) == 0xffff4433, "a read over the end of a device has its bytes");
	check(in16(LATCH + 3) == 0xff44, "by one byte too");
	check(in32(LATCH - 2) == 0x2211ffff, "as has one over its beginning");
	out16(LATCH + 3, 0x0055);
	check(in32(LATCH) == 0x55332211, "and such a write writes them");
}

// KVM cuts an access in two at a page's end, so each half goes to whom it belongs.
static void test_device_memory(void)
{
	volatile uint64_t *across = (volatile uint64_t *)LAST;

	*(volatile uint32_t *)LAST = 0x11223344;
	check(*across == 0xffffffff11223344, "behind a device's memory there is nothing");
	*across = 0x5566778899aabbcc;
	check(*(volatile uint32_t *)LAST == 0x99aabbcc, "its own half is written");
}

static void test_ram(void)
{
	uint64_t end = environment("MEMSIZE", 0) << 20;
	volatile uint64_t *across = (volatile uint64_t *)(end - 4);

	if (end == 0 || end >= 3ul << 30) {
		print("SKIP: no end of RAM to speak of\n");
		return;
	}
	*(volatile uint32_t *)(end - 4) = 0x11223344;
	check(*across == 0xffffffff11223344, "behind RAM there is nothing");
	*across = 0x5566778899aabbcc;
	check(*(volatile uint32_t *)(end - 4) == 0x99aabbcc, "RAM's half is written");
}

void main(void)
{
	test_ports();
	test_device_memory();
	test_ram();
}
