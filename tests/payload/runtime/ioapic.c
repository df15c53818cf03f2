// SPDX-License-Identifier: GPL-2.0-only
#include "ioapic.h"

#define IOAPIC_BASE 0xfec00000ul
#define SELECT 0x00
#define WINDOW 0x10
#define REGISTER_VERSION 1
#define REGISTER_TABLE 0x10

static volatile uint32_t *at(uint32_t offset)
{
	return (volatile uint32_t *)(IOAPIC_BASE + offset);
}

static uint32_t read_register(uint32_t number)
{
	*at(SELECT) = number;
	return *at(WINDOW);
}

static void write_register(uint32_t number, uint32_t value)
{
	*at(SELECT) = number;
	*at(WINDOW) = value;
}

void ioapic_set(unsigned pin, uint32_t word)
{
	write_register(REGISTER_TABLE + 2 * pin, word | IOAPIC_MASKED);
	write_register(REGISTER_TABLE + 2 * pin + 1, 0);
	write_register(REGISTER_TABLE + 2 * pin, word);
}

uint32_t ioapic_get(unsigned pin)
{
	return read_register(REGISTER_TABLE + 2 * pin);
}

uint32_t ioapic_version(void)
{
	return read_register(REGISTER_VERSION);
}
