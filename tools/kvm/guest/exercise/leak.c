// SPDX-License-Identifier: GPL-2.0-only
/*
 * Repeats the same work, and measures the kernel's own memory after each round: small leaks
 * add up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "disk.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "threads.h"
#include "timing.h"

enum {
	READS = 150,
	WRITES = 40,
	RANDOM = 100,
	FILES = 200,
	CHILDREN = 30,
	WARM_UP = 2,	/* rounds, for one-time allocations */
	LONGER = 4,	/* factor for the rounds, if memory seems to leak */
	/* Per-CPU caches vary by a few pages; a leak of one kilobyte per child is twice that. */
	KERNEL_ALLOWED_KIB = 16,	/* a round */
	FREE_ALLOWED_KIB = 2048,
};

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd >= 0) {
		if (write(fd, "3\n", 2) < 0)
			note("caches stay: %s", strerror(errno));
		close(fd);
	}
	usleep(50000);	/* let RCU free memory */
}

static void use_disk(const char *path)
{
	char *buffer = disk_buffer(8 * SECTOR);
	int fd = disk_open(path);

	for (int i = 0; i < READS; i++)
		disk_read(fd, buffer, SECTOR, (i % 64) * SECTOR);
	for (int i = 0; i < WRITES; i++)
		disk_write(fd, buffer, 8 * SECTOR, (i % 8) * 8 * SECTOR);
	fsync(fd);
	close(fd);
	free(buffer);
}

static void use_random(void)
{
	int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
	char bytes[64];

	for (int i = 0; fd >= 0 && i < RANDOM; i++) {
		if (read(fd, bytes, sizeof(bytes)) < 0)
			break;
	}
	if (fd >= 0)
		close(fd);
}

static void use_files(void)
{
	char path[64];

	for (int i = 0; i < FILES; i++) {
		int fd;

		snprintf(path, sizeof(path), "/tmp/leak-%d", i);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, path, sizeof(path)) < 0)
			die("%s", path);
		close(fd);
		unlink(path);
	}
}

static void use_processes(void)
{
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_Exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("fork");
	}
}

struct held {
	long kernel_kib;
	long free_kib;
};

static struct held use_everything(const char *path, int round)
{
	struct held held;

	use_disk(path);
	use_random();
	use_files();
	use_processes();
	drop_caches();
	held.kernel_kib = meminfo_kib("SUnreclaim") + meminfo_kib("KernelStack") +
			  meminfo_kib("PageTables") + meminfo_kib("Percpu");
	held.free_kib = meminfo_kib("MemFree");
	note("round %d: kernel %ld KiB, free %ld KiB", round, held.kernel_kib, held.free_kib);
	return held;
}

static bool grew(const struct held *from, const struct held *to, int rounds)
{
	return to->kernel_kib - from->kernel_kib > rounds * KERNEL_ALLOWED_KIB ||
	       from->free_kib - to->free_kib > FREE_ALLOWED_KIB;
}

void exercise_leak(char **argv)
{
	int rounds = atoi(argv[1]), first_round = 0, last_round = rounds;
	struct held first, last;
	double start = now_s();

	/* Each CPU has its own caches, which would fill one after another. */
	pin_to(0);
	for (int round = 1 - WARM_UP; round <= 0; round++)
		first = use_everything(argv[0], round);
	last = first;
	for (int round = 1; round <= last_round; round++) {
		last = use_everything(argv[0], round);
		/* A leak goes on; a cache that grew once does not. */
		if (round == rounds && grew(&first, &last, rounds)) {
			first = last;
			first_round = rounds;
			last_round = rounds * LONGER;
		}
	}
	rounds = last_round - first_round;
	check(last.kernel_kib - first.kernel_kib <= rounds * KERNEL_ALLOWED_KIB,
	      "the kernel's own memory does not grow",
	      "%+ld KiB in %d rounds of %d block requests, %d KiB allowed, %.2f s",
	      last.kernel_kib - first.kernel_kib, rounds, READS + WRITES,
	      rounds * KERNEL_ALLOWED_KIB, now_s() - start);
	check(first.free_kib - last.free_kib <= FREE_ALLOWED_KIB, "free memory does not shrink",
	      "%+ld KiB in %d rounds, %d KiB less allowed", last.free_kib - first.free_kib, rounds,
	      FREE_ALLOWED_KIB);
}
