// SPDX-License-Identifier: GPL-2.0-only
// INS and OUTS: each width, both directions, counts of none and of more than a page.
#include "runtime/runtime.h"

#define LATCH 0xe0
#define MANY 5000

static uint8_t buffer[2 * 4096] __attribute__((aligned(4096)));

#define OUTS(suffix, from, count)                                                                  \
	({                                                                                         \
		const void *from_ = (from);                                                        \
		uint64_t count_ = (count);                                                         \
		asm volatile("rep outs" suffix                                                     \
			     : "+S"(from_), "+c"(count_)                                           \
			     : "d"(LATCH)                                                          \
			     : "memory");                                                          \
		from_;                                                                             \
	})

#define INS(suffix, to, count)                                                                     \
	({                                                                                         \
		void *to_ = (to);                                                                  \
		uint64_t count_ = (count);                                                         \
		asm volatile("rep ins" suffix                                                      \
			     : "+D"(to_), "+c"(count_)                                             \
			     : "d"(LATCH)                                                          \
			     : "memory");                                                          \
		to_;                                                                               \
	})

static void test_out(void)
{
	for (unsigned i = 0; i < sizeof buffer; ++i)
		buffer[i] = (uint8_t)(i * 13 + 1);
	out32(LATCH, 0);
	check(OUTS("b", buffer, 10) == buffer + 10, "outsb goes on by a byte each");
	check(in8(LATCH) == buffer[9], "and the last stays");
	check(OUTS("w", buffer, 10) == buffer + 20, "outsw by two");
	check(in16(LATCH) == *(uint16_t *)(buffer + 18), "and the last stays");
	check(OUTS("l", buffer, 10) == buffer + 40, "outsl by four");
	check(in32(LATCH) == *(uint32_t *)(buffer + 36), "and the last stays");
	out32(LATCH, 0x12345678);
	check(OUTS("l", buffer, 0) == buffer && in32(LATCH) == 0x12345678, "none is none");
	check(OUTS("b", buffer, MANY) == buffer + MANY, "many go on to their end");
	check(in8(LATCH) == buffer[MANY - 1], "of which the last stays");
}

static void test_in(void)
{
	bool same = true;

	out32(LATCH, 0x44332211);
	check(INS("w", buffer, 3) == buffer + 6, "insw goes on by two");
	check(*(uint16_t *)(buffer + 4) == 0x2211, "and brings the value");
	check(INS("l", buffer + 4094, 1) == buffer + 4098, "insl goes over a page's end");
	check(*(uint32_t *)(buffer + 4094) == 0x44332211, "and brings the value");
	for (unsigned i = 0; i < sizeof buffer; ++i)
		buffer[i] = 0;
	check(INS("b", buffer, MANY) == buffer + MANY, "many go on to their end");
	for (unsigned i = 0; i < MANY; ++i)
		same = same && buffer[i] == 0x11;
	check(same && buffer[MANY] == 0, "each of them, and nothing behind");
}

static void test_backwards(void)
{
	const uint8_t *from = buffer + 19;
	uint64_t count = 10;

	for (unsigned i = 0; i < 10; ++i)
		buffer[10 + i] = (uint8_t)(i + 100);
	asm volatile("std; rep outsb; cld" : "+S"(from), "+c"(count) : "d"(LATCH) : "memory");
	check(from == buffer + 9 && in8(LATCH) == 100, "with the direction flag it goes down");
}

void main(void)
{
	test_out();
	test_in();
	test_backwards();
}
