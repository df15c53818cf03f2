// SPDX-License-Identifier: GPL-2.0-only
// Ends as its environment says: LEAVE=VALUE, by a write of BITS, or a triple fault for FAULT=1, or
// never for HANG=1.
#include "runtime/runtime.h"

void main(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_vectors;

	print("leaving\n");
	if (environment("HANG", 0))
		for (;;)
			pause();
	if (environment("FAULT", 0))
		asm volatile("lidt %0; ud2" : : "m"(no_vectors));
	if (environment("BITS", 32) == 8)
		out8(0xf4, (uint8_t)environment("LEAVE", VALUE_PASS));
	if (environment("BITS", 32) == 16)
		out16(0xf4, (uint16_t)environment("LEAVE", VALUE_PASS));
	leave(environment("BITS", 32) == 32 ? (uint32_t)environment("LEAVE", VALUE_PASS) : VALUE_FAIL);
}
