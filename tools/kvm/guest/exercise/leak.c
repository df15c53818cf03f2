// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same work again and again, and the kernel's own memory after each round: what is
 * lost a little at a time adds up.
 */
#include <errno.h>
#include <fcntl.h>
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
	WARM_UP = 2,	/* rounds, for what is allocated once */
	/* Caches of CPUs come and go by a few pages. */
	KERNEL_ALLOWED_KIB = 48,
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
	usleep(50000);	/* what RCU still holds */
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

void exercise_leak(char **argv)
{
	long first_kib = 0, last_kib = 0, first_free = 0, last_free = 0;
	int rounds = atoi(argv[1]);
	double start = now_s();

	/* Each CPU has caches of its own, which would fill one after another. */
	pin_to(0);
	for (int round = 1 - WARM_UP; round <= rounds; round++) {
		use_disk(argv[0]);
		use_random();
		use_files();
		use_processes();
		drop_caches();
		last_kib = meminfo_kib("SUnreclaim") + meminfo_kib("KernelStack") +
			   meminfo_kib("PageTables") + meminfo_kib("Percpu");
		last_free = meminfo_kib("MemFree");
		if (round == 0) {
			first_kib = last_kib;
			first_free = last_free;
		}
		note("round %d: kernel %ld KiB, free %ld KiB", round, last_kib, last_free);
	}
	check(last_kib - first_kib <= KERNEL_ALLOWED_KIB, "the kernel's own memory does not grow",
	      "%+ld KiB in %d rounds of %d block requests, %d KiB allowed, %.2f s",
	      last_kib - first_kib, rounds, READS + WRITES, KERNEL_ALLOWED_KIB, now_s() - start);
	check(first_free - last_free <= FREE_ALLOWED_KIB, "free memory does not shrink",
	      "%+ld KiB in %d rounds, %d KiB less allowed", last_free - first_free, rounds,
	      FREE_ALLOWED_KIB);
}
