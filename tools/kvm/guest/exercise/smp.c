// SPDX-License-Identifier: GPL-2.0-only
/*
 * All processors work at once and communicate: futexes, barriers, locks, and the interrupts
 * that drop stale translations.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counters.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "threads.h"
#include "timing.h"

enum {
	MIX_STEPS = 2000000,
	LOCK_STEPS = 5000,
	PING_PONGS = 100,
	REMAPS = 40,
	BARRIERS = 16,
	PAGE = 4096,
};

struct work {
	uint64_t results[CPUS_MAX];
	atomic_int strayed;
	atomic_long atomic_sum;
	long locked_sum;
	pthread_mutex_t lock;
};

static uint64_t long_computation(int steps)
{
	uint64_t value = 1;

	for (int i = 0; i < steps; i++)
		value = mix(value);
	return value;
}

static void compute(int cpu, void *context)
{
	struct work *work = context;

	for (int part = 0; part < 4; part++) {
		work->results[cpu] = long_computation(MIX_STEPS / 4);
		if (sched_getcpu() != cpu)
			atomic_fetch_add(&work->strayed, 1);
	}
	for (int i = 0; i < LOCK_STEPS; i++) {
		atomic_fetch_add(&work->atomic_sum, 1);
		pthread_mutex_lock(&work->lock);
		work->locked_sum++;
		pthread_mutex_unlock(&work->lock);
	}
}

static void check_work(int cpus)
{
	struct work work = { .lock = PTHREAD_MUTEX_INITIALIZER };
	uint64_t wanted = long_computation(MIX_STEPS / 4);
	long all = (long)cpus * LOCK_STEPS;
	double start = now_s();
	int right = 0;

	on_each_cpu(cpus, compute, &work);
	for (int cpu = 0; cpu < cpus; cpu++)
		right += work.results[cpu] == wanted;
	check(right == cpus && !work.strayed, "each CPU computes",
	      "%d of %d results are right, %d threads left their CPU, %.2f s", right, cpus,
	      work.strayed, now_s() - start);
	check(work.atomic_sum == all && work.locked_sum == all, "atomics and locks",
	      "atomic sum %ld, locked sum %ld of %ld", work.atomic_sum, work.locked_sum, all);
}

struct table {
	atomic_uint ball;
	int partner[2];
	atomic_int late;
};

static long futex(atomic_uint *word, int operation, unsigned int value,
		  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

/* Even values are the first partner's turn, odd ones the second's. */
static void play(int cpu, void *context)
{
	const struct timespec patience = { .tv_sec = 5 };
	struct table *table = context;
	unsigned int mine;

	if (cpu != table->partner[0] && cpu != table->partner[1])
		return;
	mine = cpu == table->partner[1];
	for (unsigned int turn = mine; turn < 2 * PING_PONGS; turn += 2) {
		unsigned int ball;

		while ((ball = atomic_load(&table->ball)) < turn) {
			if (futex(&table->ball, FUTEX_WAIT, ball, &patience) < 0 &&
			    errno == ETIMEDOUT) {
				atomic_fetch_add(&table->late, 1);
				atomic_store(&table->ball, 4 * PING_PONGS);
				return;
			}
		}
		if (ball > turn)
			return;
		atomic_store(&table->ball, turn + 1);
		futex(&table->ball, FUTEX_WAKE, 1, NULL);
	}
}

static void check_futexes(int cpus)
{
	int late = 0, pairs = 0;
	double start = now_s();

	for (int cpu = 0; cpu + 1 < cpus; cpu++, pairs++) {
		struct table table = { .partner = { cpu, cpu + 1 } };

		on_each_cpu(cpus, play, &table);
		late += table.late || table.ball != 2 * PING_PONGS;
	}
	check(late == 0, "wake-ups between CPUs", "%d of %d pairs lost one in %d rounds, %.2f s",
	      late, pairs, PING_PONGS, now_s() - start);
}

struct mapping {
	volatile uint64_t *page;
	int pages;	/* a memfd; each page of it holds its number */
	atomic_ulong published;
	atomic_ulong stale;
	atomic_ulong looks;
	atomic_bool done;
};

static void show_page(struct mapping *mapping, uint64_t number)
{
	if (mmap((void *)mapping->page, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, mapping->pages,
		 number * PAGE) == MAP_FAILED)
		die("mmap");
}

/* CPU 0 replaces the page by a new one; the others must never see an older one. */
static void remap(int cpu, void *context)
{
	struct mapping *mapping = context;

	while (cpu != 0 && !atomic_load(&mapping->done)) {
		uint64_t at_least = atomic_load(&mapping->published);

		if (*mapping->page < at_least)
			atomic_fetch_add(&mapping->stale, 1);
		atomic_fetch_add(&mapping->looks, 1);
	}
	for (uint64_t number = 1; cpu == 0 && number <= REMAPS; number++) {
		show_page(mapping, number);
		atomic_store(&mapping->published, number);
		/* Let the others use the new translation before it becomes stale. */
		for (uint64_t seen = mapping->looks; mapping->looks < seen + 2;)
			sched_yield();
	}
	if (cpu == 0)
		atomic_store(&mapping->done, true);
}

static void check_translations(int cpus)
{
	struct mapping mapping = { .pages = memfd_create("pages", MFD_CLOEXEC) };
	double start = now_s();
	long before = interrupts("TLB", -1);

	for (uint64_t number = 0; number <= REMAPS; number++) {
		if (pwrite(mapping.pages, &number, sizeof(number), number * PAGE) < 0)
			die("memfd");
	}
	if (ftruncate(mapping.pages, (REMAPS + 1) * PAGE) < 0)
		die("memfd");
	mapping.page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, mapping.pages, 0);
	if (mapping.page == MAP_FAILED)
		die("mmap");
	on_each_cpu(cpus, remap, &mapping);
	close(mapping.pages);
	check(mapping.stale == 0, "no stale translations",
	      "%lu stale of %lu reads in %d changes, %ld TLB interrupts, %.2f s", mapping.stale,
	      mapping.looks, REMAPS, interrupts("TLB", -1) - before, now_s() - start);
}

struct rally {
	atomic_ulong steps[CPUS_MAX];
	atomic_bool done;
	int cpus;
};

/* A barrier interrupts a CPU only while a thread of this process runs there. */
static void await_steps(struct rally *rally)
{
	for (int cpu = 1; cpu < rally->cpus; cpu++) {
		unsigned long seen = rally->steps[cpu];

		while (rally->steps[cpu] < seen + 2)
			sched_yield();
	}
}

static void rally_round(int cpu, void *context)
{
	struct rally *rally = context;

	while (cpu != 0 && !atomic_load(&rally->done))
		atomic_fetch_add(&rally->steps[cpu], 1);
	for (int i = 0; cpu == 0 && i < BARRIERS; i++) {
		await_steps(rally);
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	}
	if (cpu == 0)
		atomic_store(&rally->done, true);
}

static void check_barriers(int cpus)
{
	struct rally rally = { .cpus = cpus };
	long before = interrupts("CAL", -1), calls;
	double start = now_s();

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) < 0) {
		note("this kernel has no expedited membarrier");
		return;
	}
	on_each_cpu(cpus, rally_round, &rally);
	calls = interrupts("CAL", -1) - before;
	check(calls >= BARRIERS / 2, "calls from one CPU to the others",
	      "%ld function call interrupts for %d barriers, %.2f s", calls, BARRIERS, now_s() - start);
}

static void check_ticks(int cpus)
{
	long before[CPUS_MAX];
	int ticked = 0, worst = 0;

	for (int cpu = 0; cpu < cpus; cpu++)
		before[cpu] = interrupts("LOC", cpu);
	for (int cpu = 0; cpu < cpus; cpu++) {
		pin_to(cpu);
		for (int i = 0; i < 5; i++)
			usleep(1000);
	}
	for (int cpu = 0; cpu < cpus; cpu++) {
		long more = interrupts("LOC", cpu) - before[cpu];

		ticked += more > 0;
		if (more <= 0)
			worst = cpu;
	}
	check(ticked == cpus, "each CPU's timer interrupts", "%d of %d CPUs had some%s%.0d", ticked,
	      cpus, ticked == cpus ? "" : ", none on CPU ", worst);
}

void exercise_smp(char **argv)
{
	int cpus = atoi(argv[0]);
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (!check(online == cpus && cpus >= 1 && cpus <= CPUS_MAX, "CPUs online", "%ld of %d",
		   online, cpus))
		return;
	check_work(cpus);
	check_ticks(cpus);
	if (cpus == 1)
		return;
	check_futexes(cpus);
	check_translations(cpus);
	check_barriers(cpus);
}
