// SPDX-License-Identifier: GPL-2.0-only
// Ends as its environment says: LEAVE=VALUE, or a triple fault for FAULT=1, or never for HANG=1.
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
	leave((uint32_t)environment("LEAVE", VALUE_PASS));
}
