/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a machine that goes on from a saved one needs, so as to be no twin of others that do: the
 * time of now, and random numbers of its own. Called by init, and by a lab host's helper.
 */
#ifndef TOOLSKVM_FRESH_H
#define TOOLSKVM_FRESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRESH_BYTES_MAX = 64 };

/* Set the clock to `now`, nanoseconds of CLOCK_REALTIME; false after saying why not. */
bool set_clock(int64_t now);

/* Add at most FRESH_BYTES_MAX bytes to the kernel's pool, and seed its generator from there. */
bool stir_random_numbers(const uint8_t *bytes, size_t count);

#endif
