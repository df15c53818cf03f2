/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Seconds on the clocks of the kernel. Any thread.
 */
#ifndef TOOLSKVM_EXERCISE_TIMING_H
#define TOOLSKVM_EXERCISE_TIMING_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline double now_s(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1e9;
}

/*
 * Subtract a wait that began at began_s from the time left. It counts for at most twice the time
 * that was asked for: while the host does not run this machine, its clock goes on.
 */
static inline void spend(double *left_s, double began_s, double asked_s)
{
	double took_s = now_s() - began_s;

	*left_s -= took_s < 2 * asked_s ? took_s : 2 * asked_s;
}

#endif
