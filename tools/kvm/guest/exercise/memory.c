// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills most of the free memory with a different pattern in each page and reads it back. This
 * finds two addresses that share a page, and a missing page.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "counters.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

enum {
	PAGE_WORDS = 4096 / sizeof(uint64_t),
	/*
	 * Each first touch costs an emulated machine two faults, so only some pages are: with
	 * 1.5 GiB, one in each 64 KiB.
	 */
	TOUCHES_MAX = 24 * 1024,
};

static void fill_page(uint64_t *page, uint64_t number)
{
	uint64_t value = mix(number);

	for (int i = 0; i < PAGE_WORDS; i++)
		page[i] = value + i;
}

static bool page_is_right(const uint64_t *page, uint64_t number)
{
	uint64_t value = mix(number), wrong = 0;

	for (int i = 0; i < PAGE_WORDS; i++)
		wrong |= page[i] ^ (value + i);
	return wrong == 0;
}

void exercise_memory(char **argv)
{
	long percent = atol(argv[0]), available = meminfo_kib("MemAvailable");
	size_t pages = available / 4 * percent / 100, wrong = 0, first = 0, step, touched = 0;
	double start = now_s(), filled;
	uint64_t *memory;

	memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("cannot map %zu MiB", pages / 256);
	step = (pages + TOUCHES_MAX - 1) / TOUCHES_MAX;
	madvise(memory, pages * 4096, MADV_NOHUGEPAGE);
	for (size_t page = 0; page < pages; page += step, touched++)
		fill_page(memory + page * PAGE_WORDS, page);
	filled = now_s();
	for (size_t page = 0; page < pages; page += step) {
		if (page_is_right(memory + page * PAGE_WORDS, page))
			continue;
		if (!wrong++)
			first = page;
	}
	note("memory touched_mib=%zu", pages / 256);
	check(touched > 0 && wrong == 0, "memory keeps what is written",
	      "%zu of %zu pages wrong (first: %zu), one in %zu over %zu of %ld MiB available, "
	      "%.2f s + %.2f s", wrong, touched, first, step, pages / 256, available / 1024,
	      filled - start, now_s() - filled);
}
