// SPDX-License-Identifier: GPL-2.0-only
#include "apic.h"

#include "runtime.h"

#define APIC_BASE 0xfee00000ul

uint32_t apic_read(uint32_t offset)
{
	return *(volatile uint32_t *)(APIC_BASE + offset);
}

void apic_write(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(APIC_BASE + offset) = value;
}

void apic_enable(void)
{
	apic_write(APIC_SPURIOUS, APIC_SOFTWARE_ENABLE | SPURIOUS_VECTOR);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send(uint8_t destination, uint32_t command)
{
	apic_write(APIC_ICR_HIGH, (uint32_t)destination << 24);
	apic_write(APIC_ICR, command);
	while (apic_read(APIC_ICR) & ICR_PENDING)
		pause();
}
