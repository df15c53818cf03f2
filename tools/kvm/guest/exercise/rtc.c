// SPDX-License-Identifier: GPL-2.0-only
#include <sys/io.h>
#include <unistd.h>

#include "report.h"
#include "rtc.h"
#include "timing.h"

/* Registers and ports: see the kernel's internal <linux/mc146818rtc.h>. */
enum {
	PORT_INDEX = 0x70,
	PORT_DATA = 0x71,
	PORTS = 2,
	SECONDS = 0x00,
	MINUTES = 0x02,
	HOURS = 0x04,
	STATUS_B = 0x0b,
	STATUS_B_BINARY = 0x04,
	DAY_S = 24 * 60 * 60,
	/* Each poll is an exit to the VMM, so only the last part of a second is polled. */
	ASLEEP_US = 900000,
	DEADLINE_S = 10,
};

static int read_register(int index)
{
	outb(index, PORT_INDEX);
	return inb(PORT_DATA);
}

static int read_number(int index)
{
	int value = read_register(index);

	return read_register(STATUS_B) & STATUS_B_BINARY ? value : value / 16 * 10 + value % 16;
}

static int64_t second_of_day(void)
{
	int64_t before, now = -1;

	do {	/* until no register changed while the others were read */
		before = now;
		now = (read_number(HOURS) * 60 + read_number(MINUTES)) * 60 + read_number(SECONDS);
	} while (now != before);
	return now;
}

struct rtc_edge rtc_next_edge(void)
{
	static int64_t midnights, last = -1;
	static double last_s;
	struct rtc_edge edge;
	double begun = now_s();
	int shown;

	if (ioperm(PORT_INDEX, PORTS, 1) < 0)
		die("ioperm");
	if (last >= 0 && begun - last_s < ASLEEP_US / 1e6)
		usleep(ASLEEP_US - (useconds_t)((begun - last_s) * 1e6));
	shown = read_register(SECONDS);
	while (read_register(SECONDS) == shown) {
		if (now_s() - begun > DEADLINE_S)
			die("the CMOS clock stands still");
	}
	edge.monotonic_ns = clock_ns(CLOCK_MONOTONIC);
	edge.second = second_of_day() + midnights * DAY_S;
	if (edge.second < last) {
		edge.second += DAY_S;
		midnights++;
	}
	last = edge.second;
	last_s = edge.monotonic_ns / 1e9;
	return edge;
}
