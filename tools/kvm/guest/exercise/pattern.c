// SPDX-License-Identifier: GPL-2.0-only
#include "pattern.h"

#include <stdio.h>
#include <string.h>

enum {
	WORDS = SECTOR / sizeof(uint64_t),
	/*
	 * The range in which to search for the right offset of a stray sector, and for its
	 * seed.
	 */
	SEARCH_SECTORS = 1 << 16,
	SEARCH_SEEDS = 4,
};

uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

static uint64_t key_of(uint64_t seed, uint64_t sector)
{
	return mix(mix(seed) ^ sector);
}

static void fill_sector(uint64_t *words, uint64_t key)
{
	static uint64_t position[WORDS];

	/* Threads that race here write the same values. */
	if (!__atomic_load_n(&position[0], __ATOMIC_ACQUIRE)) {
		for (uint64_t i = WORDS; i-- > 0;)
			__atomic_store_n(&position[i], mix(i), __ATOMIC_RELEASE);
	}
	for (int i = 0; i < WORDS; i++)
		words[i] = key ^ position[i];
}

void pattern_fill(void *into, uint64_t seed, uint64_t offset, size_t length)
{
	uint64_t words[WORDS];

	for (size_t at = 0; at < length; at += SECTOR) {
		fill_sector(words, key_of(seed, (offset + at) / SECTOR));
		memcpy((char *)into + at, words, SECTOR);
	}
}

static bool all_zero(const unsigned char *bytes, size_t length)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* Describe the content of a sector that should have another one. */
static void identify(const unsigned char *bytes, uint64_t seed, char *what, size_t size)
{
	uint64_t first;

	memcpy(&first, bytes, sizeof(first));
	if (all_zero(bytes, SECTOR)) {
		snprintf(what, size, "zeroes");
		return;
	}
	for (uint64_t back = 0; back <= SEARCH_SEEDS; back++) {
		for (uint64_t sector = 0; sector < SEARCH_SECTORS; sector++) {
			if ((first ^ mix(0)) != key_of(seed - back, sector))
				continue;
			snprintf(what, size, "sector %llu of %s write", (unsigned long long)sector,
				 back ? "an earlier" : "this");
			return;
		}
	}
	snprintf(what, size, "foreign bytes %016llx...", (unsigned long long)first);
}

bool pattern_verify(const void *from, uint64_t seed, uint64_t offset, size_t length,
		    char *why, size_t why_size)
{
	uint64_t words[WORDS];
	char what[80];

	for (size_t at = 0; at < length; at += SECTOR) {
		const unsigned char *seen = (const unsigned char *)from + at;
		const unsigned char *wanted = (const unsigned char *)words;
		uint64_t sector = (offset + at) / SECTOR;
		int byte = 0;

		fill_sector(words, key_of(seed, sector));
		if (memcmp(seen, words, SECTOR) == 0)
			continue;
		while (seen[byte] == wanted[byte])
			byte++;
		identify(seen, seed, what, sizeof(what));
		snprintf(why, why_size, "sector %llu is wrong from its byte %d on, holds %s",
			 (unsigned long long)sector, byte, what);
		return false;
	}
	snprintf(why, why_size, "%zu bytes from %llu on are right", length,
		 (unsigned long long)offset);
	return true;
}
