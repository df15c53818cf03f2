// SPDX-License-Identifier: GPL-2.0-only
// Output on COM1, polled, one processor at a time.
#include <stdarg.h>

#include "print.h"
#include "runtime.h"

#define COM1 0x3f8
#define LINE_STATUS (COM1 + 5)
#define TRANSMITTER_EMPTY 0x20

static int lock;

static void put(char character)
{
	while (!(in8(LINE_STATUS) & TRANSMITTER_EMPTY))
		pause();
	out8(COM1, (uint8_t)character);
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

static void put_number(uint64_t value, unsigned base)
{
	char digits[24];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (count)
		put(digits[--count]);
}

static void put_signed(int value)
{
	if (value < 0)
		put('-');
	put_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

static const char *put_conversion(const char *format, va_list *arguments)
{
	bool is_long = *format == 'l';

	if (is_long)
		++format;
	switch (*format) {
	case 's':
		put_text(va_arg(*arguments, const char *));
		break;
	case 'd':
		put_signed(va_arg(*arguments, int));
		break;
	case 'u':
	case 'x':
		put_number(is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned),
			   *format == 'x' ? 16 : 10);
		break;
	default:
		put(*format);
	}
	return format + 1;
}

void print_arguments(const char *format, va_list *arguments)
{
	while (*format) {
		if (*format == '%')
			format = put_conversion(format + 1, arguments);
		else
			put(*format++);
	}
}

void print_lock(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		pause();
}

void print_unlock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_lock();
	print_arguments(format, &arguments);
	print_unlock();
	va_end(arguments);
}
