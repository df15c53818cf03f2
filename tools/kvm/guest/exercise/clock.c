// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clocks and timers: no clock goes back on any processor, no timer is early or very late, the
 * kernel's clocks agree about an interval, and they run at the rate of the machine's CMOS
 * clock, which is the host's.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "exercises.h"
#include "report.h"
#include "rtc.h"
#include "threads.h"
#include "timing.h"

enum {
	WARP_MS = 300,
	HOPS = 40,
	TICK_MS = 10,
	TICKS = 30,
	/* An emulated CPU on a host with other load may be this late. */
	LATE_MS = 250,
	EDGES = 3,
};

static const struct { clockid_t id; const char *name; } clocks[] = {
	{ CLOCK_MONOTONIC, "monotonic" },
	{ CLOCK_REALTIME, "realtime" },
	{ CLOCK_MONOTONIC_RAW, "raw" },
	{ CLOCK_BOOTTIME, "boottime" },
};

struct warp {
	atomic_llong last, worst, reads, until;
};

/* Each thread publishes the time that it read: a later read must not be smaller. */
static void look_for_warps(int cpu, void *context)
{
	struct warp *warp = context;
	long long now, last, reads = 0;

	(void)cpu;
	do {
		last = atomic_load(&warp->last);
		now = clock_ns(CLOCK_MONOTONIC);
		if (last - now > atomic_load(&warp->worst))
			atomic_store(&warp->worst, last - now);
		while (last < now && !atomic_compare_exchange_weak(&warp->last, &last, now))
			;
		reads++;
	} while (now < warp->until);
	atomic_fetch_add(&warp->reads, reads);
}

static void check_warps(int cpus)
{
	struct warp warp = { .until = clock_ns(CLOCK_MONOTONIC) + WARP_MS * 1000000LL };

	on_each_cpu(cpus, look_for_warps, &warp);
	check(warp.worst == 0, "time never goes back", "worst step back %lld ns in %lld reads on %d CPUs",
	      (long long)warp.worst, (long long)warp.reads, cpus);
}

static void check_hops(int cpus)
{
	int64_t last = clock_ns(CLOCK_MONOTONIC), worst = 0;

	for (int hop = 0; hop < HOPS; hop++) {
		int64_t now;

		pin_to(hop % cpus);
		now = clock_ns(CLOCK_MONOTONIC);
		if (last - now > worst)
			worst = last - now;
		last = now;
	}
	check(worst == 0, "time goes on from CPU to CPU", "worst step back %lld ns in %d hops",
	      (long long)worst, HOPS);
}

static void check_sleeps(int cpus)
{
	static const int lengths_us[] = { 200, 1000, 4000, 16000 };
	int64_t early = 0, late = 0;
	int sleeps = 0;

	for (int cpu = 0; cpu < cpus; cpu++) {
		pin_to(cpu);
		for (size_t i = 0; i < COUNT(lengths_us); i++, sleeps++) {
			const struct timespec length = { .tv_nsec = lengths_us[i] * 1000L };
			int64_t over, start = clock_ns(CLOCK_MONOTONIC);

			clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
			over = clock_ns(CLOCK_MONOTONIC) - start - length.tv_nsec;
			early = over < early ? over : early;
			late = over > late ? over : late;
		}
	}
	check(early == 0, "no sleep ends early", "earliest by %lld us of %d sleeps",
	      (long long)-early / 1000, sleeps);
	check(late < LATE_MS * 1000000LL, "no sleep lasts too long",
	      "latest by %lld us of %d sleeps, %d ms allowed", (long long)late / 1000, sleeps, LATE_MS);
}

static void check_ticks(void)
{
	const struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };
	struct itimerspec period = { .it_interval = tick, .it_value = tick };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int64_t start = clock_ns(CLOCK_MONOTONIC), due;
	uint64_t ticks = 0, more;

	if (timer < 0 || timerfd_settime(timer, 0, &period, NULL) < 0)
		die("timerfd");
	while (ticks < TICKS && read(timer, &more, sizeof(more)) == sizeof(more))
		ticks += more;
	due = (clock_ns(CLOCK_MONOTONIC) - start) / (TICK_MS * 1000000);
	close(timer);
	check((int64_t)ticks <= due && due - (int64_t)ticks <= LATE_MS / TICK_MS,
	      "a periodic timer keeps its pace", "%llu ticks of %d ms where %lld were due",
	      (unsigned long long)ticks, TICK_MS, (long long)due);
}

static void sleep_until(int64_t when_ns)
{
	const struct timespec when = { when_ns / 1000000000, when_ns % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* Compares the clocks over an interval, during which the other checks run. */
static void check_clocks(double seconds, int cpus)
{
	double spent[COUNT(clocks)], apart = 0;
	int64_t start[COUNT(clocks)], realtime = clock_ns(CLOCK_REALTIME);

	for (size_t i = 0; i < COUNT(clocks); i++)
		start[i] = clock_ns(clocks[i].id);
	check_warps(cpus);
	check_hops(cpus);
	check_sleeps(cpus);
	check_ticks();
	sleep_until(start[0] + (int64_t)(seconds * 1e9));
	for (size_t i = 0; i < COUNT(clocks); i++)
		spent[i] = (clock_ns(clocks[i].id) - start[i]) / 1e9;
	for (size_t i = 0; i < COUNT(clocks); i++)
		apart = spent[i] - spent[0] > apart ? spent[i] - spent[0] :
			spent[0] - spent[i] > apart ? spent[0] - spent[i] : apart;
	check(spent[0] >= seconds, "an absolute sleep ends when it should", "after %.6f s of %.6f s",
	      spent[0], seconds);
	check(apart <= seconds / 100, "the clocks agree",
	      "monotonic %.6f s, realtime %.6f s, raw %.6f s, boottime %.6f s", spent[0], spent[1],
	      spent[2], spent[3]);
	note("clock monotonic_s=%.6f realtime_s=%.6f start=%.6f end=%.6f", spent[0], spent[1],
	     realtime / 1e9, clock_ns(CLOCK_REALTIME) / 1e9);
}

/*
 * A change of second may be seen late but never early, so the smallest delay of a few
 * measurements is the offset of the clocks.
 */
static double least_offset_s(int64_t *middle)
{
	double least = 1e9;

	for (int i = 0; i < EDGES; i++) {
		struct rtc_edge edge = rtc_next_edge();
		double offset = edge.monotonic_ns / 1e9 - edge.second;

		least = offset < least ? offset : least;
		*middle = i == EDGES / 2 ? edge.second : *middle;
	}
	return least;
}

void exercise_clock(char **argv)
{
	double seconds = atof(argv[0]), before, after;
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t from = 0, to = 0;

	pin_to(0);
	before = least_offset_s(&from);
	check_clocks(seconds, cpus);
	pin_to(0);
	after = least_offset_s(&to);
	check(to - from >= seconds && (after - before) * 100 <= to - from &&
	      (before - after) * 100 <= to - from, "the monotonic clock keeps the host's pace",
	      "%+.4f s in %lld s of the CMOS clock, 1 %% allowed", after - before,
	      (long long)(to - from));
}
