// SPDX-License-Identifier: GPL-2.0-only
// Reads the multiboot module: lines KEY=NUMBER.
#include "runtime.h"

#define MODULES_COUNT 20 /* offsets in the information (3.3) */
#define MODULES_ADDRESS 24

extern uint32_t boot_information;

static uint32_t word_at(uint64_t address)
{
	return *(const volatile uint32_t *)address;
}

static bool begins_with(const char *text, const char *end, const char *key)
{
	while (*key && text < end && *text == *key) {
		++text;
		++key;
	}
	return !*key && text < end && *text == '=';
}

static uint64_t number(const char *text, const char *end)
{
	uint64_t value = 0;

	while (text < end && *text >= '0' && *text <= '9')
		value = value * 10 + (uint64_t)(*text++ - '0');
	return value;
}

uint64_t environment(const char *key, uint64_t otherwise)
{
	uint64_t module = word_at((uint64_t)boot_information + MODULES_ADDRESS);
	const char *text, *end;

	if (word_at((uint64_t)boot_information + MODULES_COUNT) == 0)
		return otherwise;
	text = (const char *)(uint64_t)word_at(module);
	end = (const char *)(uint64_t)word_at(module + 4);
	while (text < end) {
		if (begins_with(text, end, key)) {
			while (*text++ != '=')
				;
			return number(text, end);
		}
		while (text < end && *text++ != '\n')
			;
	}
	return otherwise;
}
