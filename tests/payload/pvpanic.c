// SPDX-License-Identifier: GPL-2.0-only
// Tells of a panic that is none: the host must stop the machine and say so.
#include "runtime/runtime.h"

#define PVPANIC 0x505
#define PANICKED 1
#define CRASH_LOADED 2

void main(void)
{
	check(in8(PVPANIC) == (PANICKED | CRASH_LOADED), "pvpanic says what it takes");
	out8(PVPANIC, CRASH_LOADED);
	check(true, "a crash kernel goes on");
	print("now a panic\n");
	out8(PVPANIC, PANICKED);
	check(false, "a panic does not");
}
