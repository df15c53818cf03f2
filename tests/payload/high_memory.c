// SPDX-License-Identifier: GPL-2.0-only
// Memory above 4 GiB: the map tells of it, and all of it is there.
#include "runtime/runtime.h"

#define GIB (1ul << 30)
#define HIGH (4 * GIB)
#define LOW_END (3 * GIB)
#define PRESENT_WRITABLE 0x3ul
#define LARGE 0x80ul
#define LOW_PLACE 0x2000ul /* free below 1 MiB */

// Offsets in the multiboot information (3.3), and a map entry without its own size.
#define MAP_LENGTH 44
#define MAP_ADDRESS 48

struct map_entry {
	uint32_t size;
	uint64_t start, length;
	uint32_t type;
} __attribute__((packed));

extern uint32_t boot_information;
extern uint64_t page_pointers[512];
static uint64_t directories[4][512] __attribute__((aligned(4096)));

static uint32_t word_at(uint64_t address)
{
	return *(const volatile uint32_t *)address;
}

static uint64_t told_length(void)
{
	uint64_t at = word_at((uint64_t)boot_information + MAP_ADDRESS);
	uint64_t end = at + word_at((uint64_t)boot_information + MAP_LENGTH);

	while (at < end) {
		const struct map_entry *entry = (const struct map_entry *)at;

		if (entry->start == HIGH && entry->type == 1)
			return entry->length;
		at += entry->size + 4;
	}
	return 0;
}

// The 4 GiB behind the first four, one to one.
static void map(void)
{
	uint64_t root;

	for (unsigned i = 0; i < 4 * 512; ++i)
		directories[i / 512][i % 512] = (HIGH + i * 0x200000ul) | PRESENT_WRITABLE | LARGE;
	for (unsigned i = 0; i < 4; ++i)
		page_pointers[4 + i] = (uint64_t)directories[i] | PRESENT_WRITABLE;
	asm volatile("movq %%cr3, %0; movq %0, %%cr3" : "=r"(root) : : "memory");
}

void main(void)
{
	uint64_t size = environment("MEMSIZE", 0) << 20, high, last;
	volatile uint64_t *hole = (volatile uint64_t *)LOW_END;

	if (size <= LOW_END || size > LOW_END + 4 * GIB)
		skip("needs more than 3 and at most 7 GiB of memory");
	high = size - LOW_END;
	check(told_length() == high, "the map tells of %lu MiB above 4 GiB", high >> 20);
	map();
	for (uint64_t at = HIGH; at < HIGH + high; at += 64ul << 20)
		*(volatile uint64_t *)at = ~at;
	last = HIGH + high - 8;
	*(volatile uint64_t *)last = 0x1122334455667788;
	for (uint64_t at = HIGH; at < HIGH + high; at += 64ul << 20)
		if (*(volatile uint64_t *)at != ~at)
			check(false, "%lx keeps what is written", at);
	check(*(volatile uint64_t *)last == 0x1122334455667788, "its last word is there");
	*(volatile uint64_t *)(HIGH + LOW_PLACE) = 43;
	check(*(volatile uint64_t *)LOW_PLACE != 43, "and is not that below");
	*(volatile uint64_t *)(LOW_END - 8) = 42;
	check(*(volatile uint64_t *)(LOW_END - 8) == 42, "memory below ends at 3 GiB");
	check(*hole == ~0ul, "with nothing behind it");
	check(*(volatile uint64_t *)(HIGH + high) == ~0ul, "nor behind that above");
}
