/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that the kernel shows in /proc. They die when /proc does not say.
 */
#ifndef TOOLSKVM_EXERCISE_COUNTERS_H
#define TOOLSKVM_EXERCISE_COUNTERS_H

/*
 * Adds up a line of /proc/interrupts over the processors, or, with `cpu` not below 0, takes
 * that one's. `name` is the line's first word ("LOC") or its last, up to a dash ("virtio2",
 * "virtio2-req.0"), which there may be several of. -1: no such line.
 */
long interrupts(const char *name, int cpu);

/* A line of /proc/meminfo in KiB; -1 when there is none. */
long meminfo_kib(const char *name);

#endif
