/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CMOS clock (MC146818), read at its ports: the machine's time, independent of the
 * kernel's other clocks. One thread.
 */
#ifndef TOOLSKVM_EXERCISE_RTC_H
#define TOOLSKVM_EXERCISE_RTC_H

#include <stdint.h>

struct rtc_edge {
	int64_t second;		/* of the day, as shown by the clock now */
	int64_t monotonic_ns;	/* CLOCK_MONOTONIC when it began, or shortly after */
};

/* Sleeps and then polls until the clock's next second begins, which takes up to 2 s. */
struct rtc_edge rtc_next_edge(void);

#endif
