// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of many sizes on a file system: written and synced, and checked later by a kernel that
 * knows them only from the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

enum { LARGEST = 256 * 1024, PER_FOLDER = 16 };

/* Sizes are odd, from a byte to LARGEST; the pattern's last sector is cut off. */
static size_t size_of(uint64_t seed, int number)
{
	size_t limit = (size_t)1 << (4 + mix(seed + number) % 15);

	return 1 + mix(~seed + number) % (limit < LARGEST ? limit : LARGEST);
}

static void path_of(char *path, size_t size, const char *folder, int number)
{
	snprintf(path, size, "%s/%02d/file-%04d", folder, number / PER_FOLDER, number);
}

static void content_of(char *into, uint64_t seed, int number, size_t size)
{
	pattern_fill(into, seed + number, 0, (size + SECTOR - 1) / SECTOR * SECTOR);
}

static void write_file(const char *path, const char *content, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, content, size) != (ssize_t)size || fsync(fd) < 0 || close(fd) < 0)
		die("%s", path);
}

void exercise_files_write(char **argv)
{
	uint64_t seed = strtoull(argv[1], NULL, 0);
	static char content[LARGEST + SECTOR];
	int count = atoi(argv[2]);
	double start = now_s();
	size_t total = 0;
	char path[512];

	for (int number = 0; number < count; number++) {
		size_t size = size_of(seed, number);

		path_of(path, sizeof(path), argv[0], number);
		if (number % PER_FOLDER == 0) {
			*strrchr(path, '/') = '\0';
			if (mkdir(path, 0755) < 0)
				die("%s", path);
			path_of(path, sizeof(path), argv[0], number);
		}
		content_of(content, seed, number, size);
		write_file(path, content, size);
		total += size;
	}
	sync();
	check(count > 0, "files written and synced", "%d files, %zu bytes, %.2f s", count, total,
	      now_s() - start);
}

/* Reads one byte more than expected, to check the file's end. */
static bool file_is_right(const char *path, uint64_t seed, int number)
{
	static char seen[LARGEST + SECTOR + 1], wanted[LARGEST + SECTOR];
	size_t size = size_of(seed, number);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, seen, size + 1);

	if (fd >= 0)
		close(fd);
	if (got != (ssize_t)size) {
		note("%s: %zd bytes instead of %zu (%s)", path, got, size,
		     got < 0 ? strerror(errno) : "no error");
		return false;
	}
	content_of(wanted, seed, number, size);
	for (size_t at = 0; at < size; at++) {
		if (seen[at] == wanted[at])
			continue;
		note("%s: byte %zu of %zu is wrong", path, at, size);
		return false;
	}
	return true;
}

void exercise_files_verify(char **argv)
{
	uint64_t seed = strtoull(argv[1], NULL, 0);
	int count = atoi(argv[2]), wrong = 0;
	double start = now_s();
	char path[512];

	for (int number = 0; number < count; number++) {
		path_of(path, sizeof(path), argv[0], number);
		wrong += !file_is_right(path, seed, number);
	}
	check(wrong == 0 && count > 0, "files are whole", "%d of %d wrong or missing, %.2f s", wrong,
	      count, now_s() - start);
}
