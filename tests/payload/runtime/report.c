// SPDX-License-Identifier: GPL-2.0-only
// Counts checks, and ends the machine with their sum.
#include <stdarg.h>

#include "interrupts.h"
#include "print.h"
#include "runtime.h"

#define DEBUG_EXIT 0xf4

static unsigned passed, failed;

void check(bool good, const char *format, ...)
{
	va_list arguments;

	__atomic_fetch_add(good ? &passed : &failed, 1, __ATOMIC_RELAXED);
	va_start(arguments, format);
	print_lock();
	print_arguments(good ? "PASS: " : "FAIL: ", &arguments);
	print_arguments(format, &arguments);
	print_arguments("\n", &arguments);
	print_unlock();
	va_end(arguments);
}

void leave(uint32_t value)
{
	for (;;)
		out32(DEBUG_EXIT, value);
}

void skip(const char *why)
{
	print("SKIP: %s\n", why);
	leave(VALUE_SKIP);
}

void mask_8259s(void)
{
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
}

void runtime_main(void);
void runtime_main(void)
{
	mask_8259s();
	install_vectors();
	main();
	print("SUMMARY: %u checks, %u failed\n", passed + failed, failed);
	leave(failed || !passed ? VALUE_FAIL : VALUE_PASS);
}
