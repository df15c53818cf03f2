// SPDX-License-Identifier: GPL-2.0-only
/*
 * The entropy device through /dev/hwrng. Whether bytes are random can't be checked, but a
 * device that reports more bytes than it wrote leaves zeroes or older bytes, and one that
 * reports fewer needs more requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

/* The driver requests this much at a time (virtio-rng.c: max(32, SMP_CACHE_BYTES)). */
enum { REQUEST = 64, SLOTS_PER_WORD = 4 };

static void read_exactly(int fd, unsigned char *into, size_t length)
{
	ssize_t got = read(fd, into, length);

	if (got != (ssize_t)length) {
		errno = got < 0 ? errno : 0;
		die("/dev/hwrng gave %zd of %zu bytes", got, length);
	}
}

/* Sizes that end inside of the driver's buffer, and sizes that exceed it. */
static void check_odd_sizes(int fd)
{
	static const size_t sizes[] = { 1, 7, 8, 31, 32, 33, 63, 64, 65, 100, 127, 129, 1000, 4095 };
	unsigned char bytes[8192];
	int runs = 0;

	for (size_t i = 0; i < COUNT(sizes); i++) {
		memset(bytes, 0, sizeof(bytes));
		read_exactly(fd, bytes, sizes[i]);
		for (size_t at = 0, run = 0; at < sizes[i]; at++) {
			run = bytes[at] ? 0 : run + 1;
			runs += run == 6;
		}
	}
	check(runs == 0, "no zeroes in reads of odd sizes", "%d runs of 6 zero bytes in %zu reads",
	      runs, COUNT(sizes));
}

/* Counts repeated words with a hash set: random eight bytes repeat once in 2^64. */
static long repeated_words(const unsigned char *bytes, size_t length)
{
	size_t slots = 1, words = length / sizeof(uint64_t);
	uint64_t *set;
	long repeated = 0;

	while (slots < words * SLOTS_PER_WORD)
		slots *= 2;
	set = calloc(slots, sizeof(*set));
	if (!set)
		die("memory");
	for (size_t i = 0; i < words; i++) {
		uint64_t word;
		size_t slot;

		memcpy(&word, bytes + i * sizeof(word), sizeof(word));
		for (slot = mix(word) % slots; set[slot] && set[slot] != word;)
			slot = (slot + 1) % slots;
		repeated += set[slot] == word || word == 0;
		set[slot] = word;
	}
	free(set);
	return repeated;
}

static void check_bits(const unsigned char *bytes, size_t length)
{
	long ones = 0, wanted = length * 4;
	/* Six standard deviations of a fair coin: sqrt(8 * length) / 2 each. */
	long deviation = 0, allowed;

	for (size_t at = 0; at < length; at++)
		ones += __builtin_popcount(bytes[at]);
	while ((deviation + 1) * (deviation + 1) <= (long)length * 2)
		deviation++;
	allowed = 6 * deviation;
	check(labs(ones - wanted) <= allowed, "half of the bits are set",
	      "%ld of %ld bits, %ld more or less allowed", ones, 2 * wanted, allowed);
}

static void print_first(const unsigned char *bytes)
{
	char text[65];

	for (int i = 0; i < 32; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	note("hwrng first=%s", text);
}

void exercise_hwrng(char **argv)
{
	size_t length = atol(argv[0]) * 1024;
	unsigned char *bytes = malloc(length);
	int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
	double start;

	if (fd < 0 || !bytes)
		die("/dev/hwrng");
	check_odd_sizes(fd);
	start = now_s();
	for (size_t at = 0; at < length; at += 1024)
		read_exactly(fd, bytes + at, 1024);
	note("hwrng bytes=%zu seconds=%.3f", length, now_s() - start);
	print_first(bytes);
	check(repeated_words(bytes, length) == 0, "no word comes twice",
	      "%ld of %zu 8-byte words are zero or were there before", repeated_words(bytes, length),
	      length / 8);
	check_bits(bytes, length);
}
