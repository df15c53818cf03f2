// SPDX-License-Identifier: GPL-2.0-only
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "report.h"

struct job {
	int cpu;
	void (*run)(int cpu, void *context);
	void *context;
	pthread_barrier_t *start;
};

void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("cannot run on CPU %d", cpu);
}

static void *start_job(void *argument)
{
	struct job *job = argument;

	pin_to(job->cpu);
	pthread_barrier_wait(job->start);
	job->run(job->cpu, job->context);
	return NULL;
}

void on_each_cpu(int cpus, void (*run)(int cpu, void *context), void *context)
{
	pthread_t threads[CPUS_MAX];
	struct job jobs[CPUS_MAX];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, cpus);
	for (int cpu = 0; cpu < cpus; cpu++) {
		jobs[cpu] = (struct job){ cpu, run, context, &start };
		errno = pthread_create(&threads[cpu], NULL, start_job, &jobs[cpu]);
		if (errno)
			die("cannot start a thread for CPU %d", cpu);
	}
	for (int cpu = 0; cpu < cpus; cpu++)
		pthread_join(threads[cpu], NULL);
	pthread_barrier_destroy(&start);
}
