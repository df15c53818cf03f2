// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eight writers at once, each with requests of many sizes, some of them scattered in memory:
 * seven eighths of the disk in separate regions, the rest interleaved.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

enum { WRITERS = 8, UNIT = 4096, PIECES = 3 };

static const size_t request_sizes[] = {
	512, 65536, 1024, 4096, 262144, 1536, 131072, 12288, 524288, 2560, 786432,
};

struct writer {
	pthread_t thread;
	const char *path;
	uint64_t seed, length;
	int number;
	unsigned long requests;
};

/* Writes the request in pieces that begin and end inside of pages. */
static void write_scattered(struct writer *writer, int fd, char *buffer, size_t length,
			    uint64_t offset)
{
	struct iovec pieces[PIECES];
	size_t third = length / PIECES / SECTOR * SECTOR, at = 0;

	for (int i = 0; i < PIECES; i++) {
		size_t size = i < PIECES - 1 ? third : length - at;

		pieces[i].iov_base = buffer + at + (i + 1) * SECTOR;
		pieces[i].iov_len = size;
		pattern_fill(pieces[i].iov_base, writer->seed, offset + at, size);
		at += size;
	}
	if (pwritev(fd, pieces, PIECES, offset) != (ssize_t)length)
		die("%zu scattered bytes at %llu", length, (unsigned long long)offset);
}

static void write_one(struct writer *writer, int fd, char *buffer, size_t length, uint64_t offset)
{
	if (writer->requests++ % 2 && length >= PIECES * SECTOR) {
		write_scattered(writer, fd, buffer, length, offset);
		return;
	}
	pattern_fill(buffer, writer->seed, offset, length);
	disk_write(fd, buffer, length, offset);
}

static void *write_share(void *argument)
{
	struct writer *writer = argument;
	uint64_t own = writer->length / 8 * 7 / WRITERS / UNIT * UNIT;
	uint64_t at = writer->number * own, end = at + own;
	size_t largest = 786432, turn = writer->number;
	char *buffer = disk_buffer(largest + 2 * UNIT);
	int fd = disk_open(writer->path);

	while (at < end) {
		size_t length = request_sizes[turn++ % COUNT(request_sizes)];

		length = length < end - at ? length : end - at;
		write_one(writer, fd, buffer, length, at);
		at += length;
	}
	for (at = WRITERS * own + writer->number * UNIT; at < writer->length; at += WRITERS * UNIT) {
		size_t left = writer->length - at;

		write_one(writer, fd, buffer, left < UNIT ? left : UNIT, at);
	}
	if (fsync(fd) < 0)
		die("fsync");
	close(fd);
	free(buffer);
	return NULL;
}

static void *read_share(void *argument)
{
	struct writer *writer = argument;
	uint64_t share = writer->length / WRITERS / UNIT * UNIT, at = writer->number * share;
	uint64_t end = writer->number == WRITERS - 1 ? writer->length : at + share;
	size_t turn = writer->number + 3;
	char *buffer = disk_buffer(786432), why[160], *answer = NULL;
	int fd = disk_open(writer->path);

	while (!answer && at < end) {
		size_t length = request_sizes[turn++ % COUNT(request_sizes)];

		length = length < end - at ? length : end - at;
		memset(buffer, 0xa5, length);
		disk_read(fd, buffer, length, at);
		if (!pattern_verify(buffer, writer->seed, at, length, why, sizeof(why)))
			answer = strdup(why);
		at += length;
		writer->requests++;
	}
	close(fd);
	free(buffer);
	return answer;
}

static unsigned long all_at_once(struct writer *writers, void *(*run)(void *), char **complaint)
{
	unsigned long requests = 0;
	void *answer;

	for (int i = 0; i < WRITERS; i++) {
		if (pthread_create(&writers[i].thread, NULL, run, &writers[i]))
			die("a thread");
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, &answer);
		requests += writers[i].requests;
		if (answer)
			*complaint = answer;
	}
	return requests;
}

/* Makes two passes, so that a lost write leaves the pattern of the earlier pass. */
void exercise_writers(char **argv)
{
	struct writer writers[WRITERS];

	for (int pass = 0; pass < 2; pass++) {
		double start = now_s(), written;
		char *complaint = NULL;
		unsigned long writes, reads;

		for (int i = 0; i < WRITERS; i++) {
			writers[i] = (struct writer){
				.path = argv[0], .seed = strtoull(argv[1], NULL, 0) + pass,
				.length = strtoull(argv[2], NULL, 0), .number = i,
			};
		}
		writes = all_at_once(writers, write_share, &complaint);
		written = now_s();
		reads = all_at_once(writers, read_share, &complaint) - writes;
		check(!complaint, pass ? "second pass reads back" : "first pass reads back",
		      "%lu writes of %d writers in %.2f s, %lu reads in %.2f s: %s", writes, WRITERS,
		      written - start, reads, now_s() - written, complaint ? complaint : "all right");
	}
}
