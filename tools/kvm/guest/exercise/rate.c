// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures how many reads a disk completes in a given time, with `depth` of them in flight,
 * without the page cache. It does not check the data: `verify` does that.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

enum { MAX_DEPTH = 128 };

struct rate {
	int fd;
	uint64_t request, places;	/* size in bytes; number of requests that fit on the disk */
	bool random;
	unsigned long begun, done;
};

static uint64_t next_offset(struct rate *rate)
{
	uint64_t number = rate->begun++;

	return (rate->random ? mix(number) : number) % rate->places * rate->request;
}

static void read_alone(struct rate *rate, char *buffer, double until_s)
{
	for (; now_s() < until_s; rate->done++)
		disk_read(rate->fd, buffer, rate->request, next_offset(rate));
}

static void submit(struct rate *rate, aio_context_t context, struct iocb *request)
{
	request->aio_offset = next_offset(rate);
	if (syscall(SYS_io_submit, context, 1L, &request) != 1)
		die("io_submit");
}

/* Each completion allows the next request, until time is up and all have completed. */
static void read_together(struct rate *rate, char *buffer, long depth, double until_s)
{
	struct iocb requests[MAX_DEPTH] = { 0 };
	struct io_event events[MAX_DEPTH];
	aio_context_t context = 0;
	long under_way = depth;

	if (syscall(SYS_io_setup, (unsigned int)depth, &context) < 0)
		die("io_setup");
	for (long i = 0; i < depth; i++) {
		requests[i].aio_lio_opcode = IOCB_CMD_PREAD;
		requests[i].aio_fildes = rate->fd;
		requests[i].aio_buf = (uintptr_t)(buffer + i * rate->request);
		requests[i].aio_nbytes = rate->request;
		submit(rate, context, &requests[i]);
	}
	while (under_way > 0) {
		long got = syscall(SYS_io_getevents, context, 1L, depth, events, NULL);
		bool more = now_s() < until_s;

		if (got < 1)
			die("io_getevents");
		for (long i = 0; i < got; i++) {
			if (events[i].res != (int64_t)rate->request)
				die("a read gave %lld", (long long)events[i].res);
			if (more)
				submit(rate, context, (struct iocb *)(uintptr_t)events[i].obj);
		}
		rate->done += got;
		under_way -= more ? 0 : got;
	}
	syscall(SYS_io_destroy, context);
}

void exercise_rate(char **argv)
{
	struct rate rate = {
		.fd = disk_open(argv[0]),
		.request = strtoull(argv[1], NULL, 0),
		.random = !strcmp(argv[3], "random"),
	};
	long depth = atol(argv[4]);
	double start = now_s(), limit_s = atof(argv[2]), seconds;
	off_t size = lseek(rate.fd, 0, SEEK_END);
	char *buffer;

	if (depth < 1 || depth > MAX_DEPTH || rate.request < 512 || size < (off_t)rate.request) {
		errno = EINVAL;
		die("rate of requests of %s bytes, depth %s", argv[1], argv[4]);
	}
	rate.places = size / rate.request;
	buffer = disk_buffer(depth * rate.request);
	if (depth == 1)
		read_alone(&rate, buffer, start + limit_s);
	else
		read_together(&rate, buffer, depth, start + limit_s);
	seconds = now_s() - start;
	note("rate requests=%lu seconds=%.4f mib_s=%.1f", rate.done, seconds,
	     rate.done * rate.request / seconds / (1 << 20));
	check(rate.done > 0, "reads are answered", "%lu in %.3f s", rate.done, seconds);
}
