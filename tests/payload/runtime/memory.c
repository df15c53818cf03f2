// SPDX-License-Identifier: GPL-2.0-only
// What the compiler calls for structures and arrays.
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);

void *memcpy(void *to, const void *from, size_t length)
{
	void *end = to;

	asm volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(length) : : "memory");
	return to;
}

void *memset(void *to, int value, size_t length)
{
	void *end = to;

	asm volatile("rep stosb" : "+D"(end), "+c"(length) : "a"(value) : "memory");
	return to;
}
