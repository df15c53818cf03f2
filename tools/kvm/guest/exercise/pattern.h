/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Content that identifies its position: 512-byte sectors made from a seed and the sector's
 * number. No two sectors are alike, nor two words in one, so lost, shifted or swapped data is
 * detected. kvm/matrix/pattern.py makes the same. Any thread.
 */
#ifndef TOOLSKVM_EXERCISE_PATTERN_H
#define TOOLSKVM_EXERCISE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECTOR = 512 };

/* Mixes a number (splitmix64's finaliser); different inputs give different results. */
uint64_t mix(uint64_t value);

/* `length` bytes of the pattern from byte `offset` on; both are multiples of a sector. */
void pattern_fill(void *into, uint64_t seed, uint64_t offset, size_t length);

/*
 * True when the bytes are the pattern. Else `why` describes the first wrong byte, and the
 * content there.
 */
bool pattern_verify(const void *from, uint64_t seed, uint64_t offset, size_t length,
		    char *why, size_t why_size);

#endif
