// SPDX-License-Identifier: GPL-2.0-only
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

int disk_open(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM))
		fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die("%s", path);
	return fd;
}

void *disk_buffer(size_t size)
{
	void *buffer = aligned_alloc(4096, (size + 4095) / 4096 * 4096);

	if (!buffer)
		die("%zu bytes of memory", size);
	return buffer;
}

void disk_write(int fd, const void *from, size_t length, uint64_t offset)
{
	ssize_t done = pwrite(fd, from, length, offset);

	if (done != (ssize_t)length) {
		errno = done < 0 ? errno : 0;
		die("%zd of %zu bytes written at %llu", done, length, (unsigned long long)offset);
	}
}

void disk_read(int fd, void *into, size_t length, uint64_t offset)
{
	ssize_t done = pread(fd, into, length, offset);

	if (done != (ssize_t)length) {
		errno = done < 0 ? errno : 0;
		die("%zd of %zu bytes read at %llu", done, length, (unsigned long long)offset);
	}
}

static uint64_t number(const char *word)
{
	return strtoull(word, NULL, 0);
}

static size_t step_at(uint64_t at, uint64_t length, size_t request)
{
	return length - at < request ? length - at : request;
}

void exercise_fill(char **argv)
{
	uint64_t seed = number(argv[1]), offset = number(argv[2]), length = number(argv[3]), at;
	size_t request = number(argv[4]);
	char *buffer = disk_buffer(request);
	int fd = disk_open(argv[0]);
	double start = now_s();

	for (at = 0; at < length; at += step_at(at, length, request)) {
		size_t step = step_at(at, length, request);

		pattern_fill(buffer, seed, offset + at, step);
		disk_write(fd, buffer, step, offset + at);
	}
	check(fsync(fd) == 0, "pattern written and flushed", "%llu bytes from %llu on, %.2f s",
	      (unsigned long long)at, (unsigned long long)offset, now_s() - start);
}

void exercise_verify(char **argv)
{
	uint64_t seed = number(argv[1]), offset = number(argv[2]), length = number(argv[3]), at;
	size_t request = number(argv[4]);
	char *buffer = disk_buffer(request), why[160] = "";
	int fd = disk_open(argv[0]);
	double start = now_s();
	bool right = length > 0;

	for (at = 0; right && at < length; at += step_at(at, length, request)) {
		size_t step = step_at(at, length, request);

		/* Bytes that the device does not write must not look right. */
		memset(buffer, 0xa5, step);
		disk_read(fd, buffer, step, offset + at);
		right = pattern_verify(buffer, seed, offset + at, step, why, sizeof(why));
	}
	check(right, "pattern read back", "%llu bytes from %llu on, %.2f s; %s",
	      (unsigned long long)length, (unsigned long long)offset, now_s() - start, why);
}

static void ask_for_zeroes(char **argv, unsigned long request, const char *name)
{
	uint64_t range[2] = { number(argv[1]), number(argv[2]) };
	int fd = disk_open(argv[0]);
	bool done = ioctl(fd, request, range) == 0;

	check(done, name, "%llu bytes from %llu on: %s", (unsigned long long)range[1],
	      (unsigned long long)range[0], done ? "done" : strerror(errno));
}

void exercise_zero(char **argv)
{
	ask_for_zeroes(argv, BLKZEROOUT, "zeroes are written");
}

void exercise_discard(char **argv)
{
	ask_for_zeroes(argv, BLKDISCARD, "discard succeeds");
}

void exercise_zeroes(char **argv)
{
	uint64_t offset = number(argv[1]), length = number(argv[2]);
	unsigned char *buffer = disk_buffer(length);
	int fd = disk_open(argv[0]);
	uint64_t at = 0;

	memset(buffer, 0xa5, length);
	disk_read(fd, buffer, length, offset);
	while (at < length && buffer[at] == 0)
		at++;
	check(at == length && length > 0, "zeroes are read",
	      "%llu of %llu bytes from %llu on are zero up to the first that is not",
	      (unsigned long long)at, (unsigned long long)length, (unsigned long long)offset);
}
