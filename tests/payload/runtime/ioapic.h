/* SPDX-License-Identifier: GPL-2.0-only */
/* The IOAPIC's redirection table (82093AA data sheet, 3.2.4). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IOAPIC_LEVEL (1u << 15)
#define IOAPIC_MASKED (1u << 16)
#define IOAPIC_REMOTE_IRR (1u << 14)

/* Low word of the pin's entry; `word` includes the vector. It goes to processor 0. */
void ioapic_set(unsigned pin, uint32_t word);
uint32_t ioapic_get(unsigned pin);
uint32_t ioapic_version(void);
