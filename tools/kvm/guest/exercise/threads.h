/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One thread on each processor, all at once.
 */
#ifndef TOOLSKVM_EXERCISE_THREADS_H
#define TOOLSKVM_EXERCISE_THREADS_H

enum { CPUS_MAX = 256 };

/* Pin the calling thread; ends the program if there is no such processor. */
void pin_to(int cpu);

/*
 * Call `run(cpu, context)` on a thread pinned to each of `cpus` processors; wait until all
 * return.
 */
void on_each_cpu(int cpus, void (*run)(int cpu, void *context), void *context);

#endif
