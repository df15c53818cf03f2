/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that the kernel shows in /proc. These functions end the program if /proc can't be
 * read.
 */
#ifndef TOOLSKVM_EXERCISE_COUNTERS_H
#define TOOLSKVM_EXERCISE_COUNTERS_H

/*
 * Returns the sum of a line of /proc/interrupts over the processors, or the number of
 * processor `cpu` if that is not negative. `name` is the line's first word ("LOC") or its
 * last, up to a dash ("virtio2", "virtio2-req.0"); several lines may match. -1: no such line.
 */
long interrupts(const char *name, int cpu);

/* The value of a line of /proc/meminfo in KiB; -1 when there is none. */
long meminfo_kib(const char *name);

#endif
