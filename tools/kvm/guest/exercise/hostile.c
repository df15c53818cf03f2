// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that breaks the rules of the ring, in the ways that have hurt VMMs before. After
 * each the device must ask for its reset (virtio 1.2, 2.1.2), use no buffer, and serve a
 * request that is right once it had it. For the entropy device and the block device.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exercises.h"
#include "function.h"
#include "pattern.h"
#include "report.h"

/* Between the memory below 4 GiB and the BARs: no memory of a guest of less than 3 GiB. */
#define HOLE 0xd0000000ULL

enum {
	MODERN_IDS = 0x1040,
	NEXT = VRING_DESC_F_NEXT,
	WRITE = VRING_DESC_F_WRITE,
	INDIRECT = VRING_DESC_F_INDIRECT,
	DESCRIPTOR = sizeof(struct vring_desc),
};

static void put(volatile struct vring_desc *into, uint64_t address, uint32_t length,
		unsigned int flags, uint16_t next)
{
	into->addr = address;
	into->len = length;
	into->flags = flags;
	into->next = next;
}

/* The first byte behind the guest's memory. */
static uint64_t end_of_memory(void)
{
	unsigned long long first, last, end = 0;
	char line[256];
	FILE *file = fopen("/proc/iomem", "r");

	if (!file)
		die("/proc/iomem");
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, "System RAM") && sscanf(line, "%llx-%llx", &first, &last) == 2)
			end = last + 1;
	}
	fclose(file);
	return end;
}

/* --- requests that are right ------------------------------------------------------- */

static void put_block_request(struct function *f, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *header = f->data.at;

	header->type = type;
	header->sector = sector;
	put(&f->descriptors[0], f->data.physical, sizeof(*header), NEXT, 1);
	put(&f->descriptors[1], f->answer.physical, SECTOR, NEXT | WRITE, 2);
	put(&f->descriptors[2], f->answer.physical + SECTOR, 1, WRITE, 0);
}

static int block_status(struct function *f)
{
	return ((volatile uint8_t *)f->answer.at)[SECTOR];
}

static bool is_block(const struct function *f)
{
	return f->device_id == MODERN_IDS + VIRTIO_ID_BLOCK;
}

static void put_right_request(struct function *f)
{
	if (is_block(f))
		put_block_request(f, VIRTIO_BLK_T_IN, 0);
	else
		put(&f->descriptors[0], f->answer.physical, SECTOR, WRITE, 0);
}

static void restart(struct function *f)
{
	function_reset(f);
	function_start(f);
}

static void check_service(struct function *f, const char *after)
{
	char name[96];
	bool used;

	restart(f);
	put_right_request(f);
	function_submit(f, 0, 1);
	used = function_await_used(f, 1);
	snprintf(name, sizeof(name), "%s serves after %s", f->name, after);
	if (is_block(f))
		check(used && block_status(f) == VIRTIO_BLK_S_OK, name, "used %d, status %d", used,
		      block_status(f));
	else
		check(used && f->used->ring[0].len == SECTOR, name, "used %d, %u bytes", used,
		      f->used->ring[0].len);
}

/* --- faults of the ring ------------------------------------------------------------ */

static uint16_t head_past_the_ring(struct function *f)
{
	return f->entries;
}

static uint16_t next_past_the_ring(struct function *f)
{
	put(&f->descriptors[0], f->data.physical, 16, NEXT, f->entries);
	return 0;
}

static uint16_t loop(struct function *f)
{
	put(&f->descriptors[0], f->data.physical, 16, NEXT, 1);
	put(&f->descriptors[1], f->data.physical, 16, NEXT, 0);
	return 0;
}

static uint16_t uneven_table(struct function *f)
{
	put(&f->descriptors[0], f->table.physical, DESCRIPTOR + 1, INDIRECT, 0);
	return 0;
}

static uint16_t table_longer_than_the_ring(struct function *f)
{
	struct vring_desc *table = f->table.at;

	for (uint16_t i = 0; i <= f->entries; i++)
		put(&table[i], f->answer.physical, 16, WRITE | (i < f->entries ? NEXT : 0), i + 1);
	put(&f->descriptors[0], f->table.physical, (f->entries + 1) * DESCRIPTOR, INDIRECT, 0);
	return 0;
}

static uint16_t table_in_a_hole(struct function *f)
{
	put(&f->descriptors[0], HOLE, DESCRIPTOR, INDIRECT, 0);
	return 0;
}

static uint16_t table_in_a_table(struct function *f)
{
	put(f->table.at, f->table.physical, DESCRIPTOR, INDIRECT, 0);
	put(&f->descriptors[0], f->table.physical, DESCRIPTOR, INDIRECT, 0);
	return 0;
}

static uint16_t table_with_a_next(struct function *f)
{
	put(f->table.at, f->answer.physical, 16, WRITE, 0);
	put(&f->descriptors[0], f->table.physical, DESCRIPTOR, INDIRECT | NEXT, 1);
	put(&f->descriptors[1], f->answer.physical, 16, WRITE, 0);
	return 0;
}

static uint16_t write_before_read(struct function *f)
{
	put(&f->descriptors[0], f->answer.physical, 16, WRITE | NEXT, 1);
	put(&f->descriptors[1], f->data.physical, 16, 0, 0);
	return 0;
}

static uint16_t zero_length(struct function *f)
{
	put(&f->descriptors[0], f->answer.physical, 0, WRITE, 0);
	return 0;
}

static uint16_t wrapping_address(struct function *f)
{
	put(&f->descriptors[0], ~0ULL - 15, 64, WRITE, 0);
	return 0;
}

static uint16_t buffer_in_a_hole(struct function *f)
{
	put(&f->descriptors[0], HOLE, 64, WRITE, 0);
	return 0;
}

static uint16_t buffer_over_the_end_of_memory(struct function *f)
{
	put(&f->descriptors[0], end_of_memory() - 16, 64, WRITE, 0);
	return 0;
}

static const struct ring_fault {
	const char *name;
	uint16_t (*put)(struct function *function);	/* returns the head */
} ring_faults[] = {
	{ "a head past the ring", head_past_the_ring },
	{ "a next past the ring", next_past_the_ring },
	{ "a loop", loop },
	{ "a table of one byte more", uneven_table },
	{ "a table longer than the ring", table_longer_than_the_ring },
	{ "a table in a hole", table_in_a_hole },
	{ "a table in a table", table_in_a_table },
	{ "a table with a next", table_with_a_next },
	{ "a write before a read", write_before_read },
	{ "a zero length", zero_length },
	{ "an address that wraps", wrapping_address },
	{ "a buffer in a hole", buffer_in_a_hole },
	{ "a buffer over the end of memory", buffer_over_the_end_of_memory },
};

static void expect_needs_reset(struct function *f, const char *fault)
{
	char name[96];
	bool told = function_await_needs_reset(f);

	snprintf(name, sizeof(name), "%s wants its reset after %s", f->name, fault);
	check(told && f->used->idx == 0, name, "status 0x%02x, %u chains used",
	      f->common->device_status, f->used->idx);
	check_service(f, fault);
}

static void check_ring_faults(struct function *f)
{
	for (size_t i = 0; i < COUNT(ring_faults); i++) {
		restart(f);
		function_submit(f, ring_faults[i].put(f), 1);
		expect_needs_reset(f, ring_faults[i].name);
	}
	restart(f);
	put(&f->descriptors[0], f->answer.physical, 16, WRITE, 0);
	function_submit(f, 0, f->entries + 1);
	expect_needs_reset(f, "more entries than the ring has");
}

/* --- faults of its set-up ---------------------------------------------------------- */

static void check_set_up_faults(struct function *f)
{
	static const char *const names[] = { "a table outside of memory",
					     "a used ring outside of memory",
					     "a used ring over the table" };

	for (size_t i = 0; i < COUNT(names); i++) {
		function_reset(f);
		if (i == 0)
			f->table_at = HOLE;
		else
			f->used_at = i == 1 ? HOLE : f->table_at;
		function_start(f);
		expect_needs_reset(f, names[i]);
	}
}

static void check_features(struct function *f)
{
	char name[96];
	bool taken;

	function_reset(f);
	taken = function_negotiate(f, 1ULL << 63);
	snprintf(name, sizeof(name), "%s refuses a feature that it did not offer", f->name);
	check(!taken, name, "FEATURES_OK %d", taken);
	check_service(f, "a feature that it did not offer");
}

static void check_early_reset(struct function *f)
{
	for (int i = 0; i < 50; i++) {
		restart(f);
		put_right_request(f);
		function_submit(f, 0, 1);
	}
	check_service(f, "50 resets in mid-request");
}

/* --- faults of a block request, which have a status of their own ------------------- */

static void expect_status(struct function *f, int wanted, const char *fault)
{
	char name[96];
	bool used;

	function_submit(f, 0, 1);
	used = function_await_used(f, 1);
	snprintf(name, sizeof(name), "%s answers %s", f->name, fault);
	check(used && block_status(f) == wanted, name, "used %d, status %d, not %d", used,
	      block_status(f), wanted);
	check_service(f, fault);
}

static void check_block_requests(struct function *f)
{
	restart(f);
	put_block_request(f, 0x7777, 0);
	expect_status(f, VIRTIO_BLK_S_UNSUPP, "an unknown type");
	restart(f);
	put_block_request(f, VIRTIO_BLK_T_IN, 1ULL << 54);
	expect_status(f, VIRTIO_BLK_S_IOERR, "a sector past the end");
	restart(f);
	put_block_request(f, VIRTIO_BLK_T_IN, 0);
	f->descriptors[1].len = SECTOR - 1;
	expect_status(f, VIRTIO_BLK_S_IOERR, "a part of a sector");
}

void exercise_hostile(char **argv)
{
	struct function function = function_take(argv[0]);

	errno = ENODEV;
	if (!is_block(&function) && function.device_id != MODERN_IDS + VIRTIO_ID_RNG)
		die("%s is neither an entropy device nor a disk", argv[0]);
	check_service(&function, "nothing");
	check_ring_faults(&function);
	check_set_up_faults(&function);
	check_features(&function);
	check_early_reset(&function);
	if (is_block(&function))
		check_block_requests(&function);
	function_reset(&function);
}
