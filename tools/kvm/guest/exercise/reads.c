// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many small reads, each checked: as many as fit in a given time, so that a fast machine wraps
 * its rings more often. First one at a time, each waiting for its own interrupt, so that a
 * lost one is noticed; then many at once.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counters.h"
#include "disk.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

/* A ring's indices wrap after 65536 requests. */
enum { DEPTH = 96, ENOUGH = 70000, SLOW_MS = 2000 };

struct reads {
	int fd;
	uint64_t seed, sectors;
	char *buffer;
	unsigned long done, wrong;
	double worst_s;
	char why[160];
};

static void verify(struct reads *reads, const char *buffer, uint64_t sector)
{
	char why[160];

	reads->done++;
	if (pattern_verify(buffer, reads->seed, sector * SECTOR, SECTOR, why, sizeof(why)))
		return;
	reads->wrong++;
	memcpy(reads->why, why, sizeof(why));
}

static void read_alone(struct reads *reads)
{
	uint64_t sector = mix(reads->done) % reads->sectors;
	double before = now_s(), spent;

	/* Bytes that the device does not write must not look right. */
	memset(reads->buffer, 0xa5, SECTOR);
	disk_read(reads->fd, reads->buffer, SECTOR, sector * SECTOR);
	spent = now_s() - before;
	reads->worst_s = spent > reads->worst_s ? spent : reads->worst_s;
	verify(reads, reads->buffer, sector);
}

/*
 * Reads more at a time than half of the ring holds; sectors are far apart, so that none are
 * merged.
 */
static void read_together(struct reads *reads, aio_context_t context)
{
	struct iocb requests[DEPTH] = { 0 }, *list[DEPTH];
	struct io_event events[DEPTH];

	memset(reads->buffer, 0xa5, DEPTH * SECTOR);
	for (int i = 0; i < DEPTH; i++) {
		uint64_t sector = mix(reads->done + i) % (reads->sectors / 2) * 2;

		requests[i].aio_lio_opcode = IOCB_CMD_PREAD;
		requests[i].aio_fildes = reads->fd;
		requests[i].aio_buf = (uintptr_t)(reads->buffer + i * SECTOR);
		requests[i].aio_nbytes = SECTOR;
		requests[i].aio_offset = sector * SECTOR;
		list[i] = &requests[i];
	}
	if (syscall(SYS_io_submit, context, (long)DEPTH, list) != DEPTH)
		die("io_submit");
	if (syscall(SYS_io_getevents, context, (long)DEPTH, (long)DEPTH, events, NULL) != DEPTH)
		die("io_getevents");
	for (int i = 0; i < DEPTH; i++) {
		if (events[i].res != SECTOR)
			die("a read of %d bytes gave %lld", SECTOR, (long long)events[i].res);
	}
	for (int i = 0; i < DEPTH; i++)
		verify(reads, reads->buffer + i * SECTOR, requests[i].aio_offset / SECTOR);
}

static void report_reads(const struct reads *reads, const char *how, double seconds)
{
	check(reads->wrong == 0 && reads->done > 0, how, "%lu of %lu wrong in %.2f s%s%s", reads->wrong,
	      reads->done, seconds, reads->wrong ? ", last: " : "", reads->why);
}

static void check_alone(struct reads *reads, double limit_s, const char *interrupt)
{
	long before = interrupts(interrupt, -1), raised;
	double start = now_s();

	while (reads->done < ENOUGH && now_s() - start < limit_s)
		read_alone(reads);
	raised = interrupts(interrupt, -1) - before;
	report_reads(reads, "reads one at a time", now_s() - start);
	check(reads->worst_s * 1000 < SLOW_MS, "no read waits long", "longest %.1f ms, mean %.2f ms",
	      reads->worst_s * 1e3, (now_s() - start) * 1e3 / reads->done);
	/* More interrupts are possible on a shared line, but never fewer. */
	check(before >= 0 && raised >= (long)reads->done, "an interrupt for each read",
	      "%ld interrupts of %s for %lu reads", raised, interrupt, reads->done);
}

static void check_together(struct reads *reads, double limit_s)
{
	aio_context_t context = 0;
	double start = now_s();

	if (syscall(SYS_io_setup, (unsigned int)DEPTH, &context) < 0) {
		note("this kernel has no AIO: %s", strerror(errno));
		return;
	}
	while (reads->done < ENOUGH && now_s() - start < limit_s)
		read_together(reads, context);
	syscall(SYS_io_destroy, context);
	report_reads(reads, "reads many at a time", now_s() - start);
}

void exercise_reads(char **argv)
{
	struct reads alone = {
		.fd = disk_open(argv[0]),
		.seed = strtoull(argv[1], NULL, 0),
		.sectors = strtoull(argv[2], NULL, 0) / SECTOR,
		.buffer = disk_buffer(DEPTH * SECTOR),
	};
	struct reads together = alone;

	check_alone(&alone, atof(argv[3]) / 2, argv[4]);
	check_together(&together, atof(argv[3]) / 2);
	note("reads count=%lu", alone.done + together.done);
}
