// SPDX-License-Identifier: GPL-2.0-only
// Where nobody is: reads are all ones, writes vanish, the machine goes on.
#include "runtime/runtime.h"

#define NOBODY 0x9000ul

static bool reads_ones(uint16_t port)
{
	return in8(port) == 0xff && in16(port) == 0xffff && in32(port) == 0xffffffff;
}

void main(void)
{
	volatile uint64_t *hole = (volatile uint64_t *)0xfe000000ul;
	bool ones = true;

	check(reads_ones(NOBODY), "a port of nobody reads all ones in each width");
	out8(NOBODY, 0x12);
	out16(NOBODY, 0x1234);
	out32(NOBODY, 0x12345678);
	check(reads_ones(NOBODY), "and keeps nothing");
	for (unsigned port = 0xa000; port < 0xa400; ++port)
		ones = ones && in8((uint16_t)port) == 0xff;
	check(ones, "a thousand of them");
	check(in8(0xffff) == 0xff, "the last port");

	check(*hole == ~0ul, "memory of nobody reads all ones");
	*hole = 0x1122334455667788;
	check(*hole == ~0ul, "and keeps nothing");
	check(*(volatile uint8_t *)hole == 0xff && *(volatile uint16_t *)hole == 0xffff &&
		      *(volatile uint32_t *)hole == 0xffffffff,
	      "in each width");
}
