/* SPDX-License-Identifier: GPL-2.0-only */
/* A sleep without power, and the way back from the waking vector to where it began. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What the processor had when it woke up, before anything else was done. */
struct woken {
	uint64_t efer, star;
	uint32_t cr0;
};
extern struct woken woken;

/*
 * Writes `value` to `port`, which is to put the machine to sleep, and returns when the firmware has
 * jumped to the waking vector; false when the machine has not gone to sleep. Interrupts are off.
 */
bool suspend(uint16_t port, uint16_t value);
