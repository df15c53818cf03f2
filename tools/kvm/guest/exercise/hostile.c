// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that breaks the rules of the ring, in the ways that have hurt VMMs before. After
 * each the device must request a reset (virtio 1.2, 2.1.2), use no buffer, and after the reset
 * serve a valid request. For the entropy device and the block device.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exercises.h"
#include "device.h"
#include "pattern.h"
#include "report.h"

/* Between the memory below 4 GiB and the BARs: no memory in a guest with less than 3 GiB. */
#define HOLE 0xd0000000ULL

enum {
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

/* The first byte after the guest's memory. */
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

/* --- valid requests ---------------------------------------------------------------- */

static void put_block_request(struct device *d, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *header = d->data.at;

	header->type = type;
	header->sector = sector;
	put(&d->descriptors[0], d->data.physical, sizeof(*header), NEXT, 1);
	put(&d->descriptors[1], d->answer.physical, SECTOR, NEXT | WRITE, 2);
	put(&d->descriptors[2], d->answer.physical + SECTOR, 1, WRITE, 0);
}

static int block_status(struct device *d)
{
	return ((volatile uint8_t *)d->answer.at)[SECTOR];
}

static bool is_block(const struct device *d)
{
	return d->type == VIRTIO_ID_BLOCK;
}

static void put_right_request(struct device *d)
{
	if (is_block(d))
		put_block_request(d, VIRTIO_BLK_T_IN, 0);
	else
		put(&d->descriptors[0], d->answer.physical, SECTOR, WRITE, 0);
}

static void restart(struct device *d)
{
	device_reset(d);
	device_start(d);
}

static void check_service(struct device *d, const char *after)
{
	char name[96];
	bool used;

	restart(d);
	put_right_request(d);
	device_submit(d, 0, 1);
	used = device_await_used(d, 1);
	snprintf(name, sizeof(name), "%s serves after %s", d->name, after);
	if (is_block(d))
		check(used && block_status(d) == VIRTIO_BLK_S_OK, name, "used %d, status %d", used,
		      block_status(d));
	else
		check(used && d->used->ring[0].len == SECTOR, name, "used %d, %u bytes", used,
		      d->used->ring[0].len);
}

/* --- faults in the ring ------------------------------------------------------------ */

static uint16_t head_past_the_ring(struct device *d)
{
	return d->entries;
}

static uint16_t next_past_the_ring(struct device *d)
{
	put(&d->descriptors[0], d->data.physical, 16, NEXT, d->entries);
	return 0;
}

static uint16_t loop(struct device *d)
{
	put(&d->descriptors[0], d->data.physical, 16, NEXT, 1);
	put(&d->descriptors[1], d->data.physical, 16, NEXT, 0);
	return 0;
}

static uint16_t uneven_table(struct device *d)
{
	put(&d->descriptors[0], d->table.physical, DESCRIPTOR + 1, INDIRECT, 0);
	return 0;
}

static uint16_t table_longer_than_the_ring(struct device *d)
{
	struct vring_desc *table = d->table.at;

	for (uint16_t i = 0; i <= d->entries; i++)
		put(&table[i], d->answer.physical, 16, WRITE | (i < d->entries ? NEXT : 0), i + 1);
	put(&d->descriptors[0], d->table.physical, (d->entries + 1) * DESCRIPTOR, INDIRECT, 0);
	return 0;
}

static uint16_t table_in_a_hole(struct device *d)
{
	put(&d->descriptors[0], HOLE, DESCRIPTOR, INDIRECT, 0);
	return 0;
}

static uint16_t table_in_a_table(struct device *d)
{
	put(d->table.at, d->table.physical, DESCRIPTOR, INDIRECT, 0);
	put(&d->descriptors[0], d->table.physical, DESCRIPTOR, INDIRECT, 0);
	return 0;
}

static uint16_t table_with_a_next(struct device *d)
{
	put(d->table.at, d->answer.physical, 16, WRITE, 0);
	put(&d->descriptors[0], d->table.physical, DESCRIPTOR, INDIRECT | NEXT, 1);
	put(&d->descriptors[1], d->answer.physical, 16, WRITE, 0);
	return 0;
}

static uint16_t write_before_read(struct device *d)
{
	put(&d->descriptors[0], d->answer.physical, 16, WRITE | NEXT, 1);
	put(&d->descriptors[1], d->data.physical, 16, 0, 0);
	return 0;
}

static uint16_t zero_length(struct device *d)
{
	put(&d->descriptors[0], d->answer.physical, 0, WRITE, 0);
	return 0;
}

static uint16_t wrapping_address(struct device *d)
{
	put(&d->descriptors[0], ~0ULL - 15, 64, WRITE, 0);
	return 0;
}

static uint16_t buffer_in_a_hole(struct device *d)
{
	put(&d->descriptors[0], HOLE, 64, WRITE, 0);
	return 0;
}

static uint16_t buffer_over_the_end_of_memory(struct device *d)
{
	put(&d->descriptors[0], end_of_memory() - 16, 64, WRITE, 0);
	return 0;
}

static const struct ring_fault {
	const char *name;
	uint16_t (*put)(struct device *device);	/* returns the head */
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

static void expect_needs_reset(struct device *d, const char *fault)
{
	char name[96];
	bool told = device_await_needs_reset(d);

	snprintf(name, sizeof(name), "%s wants its reset after %s", d->name, fault);
	check(told && d->used->idx == 0, name, "status 0x%02x, %u chains used",
	      d->registers->status(d), d->used->idx);
	check_service(d, fault);
}

static void check_ring_faults(struct device *d)
{
	for (size_t i = 0; i < COUNT(ring_faults); i++) {
		restart(d);
		device_submit(d, ring_faults[i].put(d), 1);
		expect_needs_reset(d, ring_faults[i].name);
	}
	restart(d);
	put(&d->descriptors[0], d->answer.physical, 16, WRITE, 0);
	device_submit(d, 0, d->entries + 1);
	expect_needs_reset(d, "more entries than the ring has");
}

/* --- faults in its set-up ---------------------------------------------------------- */

static void check_set_up_faults(struct device *d)
{
	static const char *const names[] = { "a table outside of memory",
					     "a used ring outside of memory",
					     "a used ring over the table" };

	for (size_t i = 0; i < COUNT(names); i++) {
		device_reset(d);
		if (i == 0)
			d->table_at = HOLE;
		else
			d->used_at = i == 1 ? HOLE : d->table_at;
		device_start(d);
		expect_needs_reset(d, names[i]);
	}
}

static void check_features(struct device *d)
{
	char name[96];
	bool taken;

	device_reset(d);
	taken = device_negotiate(d, 1ULL << 63);
	snprintf(name, sizeof(name), "%s refuses a feature that it did not offer", d->name);
	check(!taken, name, "FEATURES_OK %d", taken);
	check_service(d, "a feature that it did not offer");
}

static void check_early_reset(struct device *d)
{
	for (int i = 0; i < 50; i++) {
		restart(d);
		put_right_request(d);
		device_submit(d, 0, 1);
	}
	check_service(d, "50 resets in mid-request");
}

/* --- faults in a block request, which have their own status ------------------------ */

static void expect_status(struct device *d, int wanted, const char *fault)
{
	char name[96];
	bool used;

	device_submit(d, 0, 1);
	used = device_await_used(d, 1);
	snprintf(name, sizeof(name), "%s answers %s", d->name, fault);
	check(used && block_status(d) == wanted, name, "used %d, status %d, not %d", used,
	      block_status(d), wanted);
	check_service(d, fault);
}

static void check_block_requests(struct device *d)
{
	restart(d);
	put_block_request(d, 0x7777, 0);
	expect_status(d, VIRTIO_BLK_S_UNSUPP, "an unknown type");
	restart(d);
	put_block_request(d, VIRTIO_BLK_T_IN, 1ULL << 54);
	expect_status(d, VIRTIO_BLK_S_IOERR, "a sector past the end");
	restart(d);
	put_block_request(d, VIRTIO_BLK_T_IN, 0);
	d->descriptors[1].len = SECTOR - 1;
	expect_status(d, VIRTIO_BLK_S_IOERR, "a part of a sector");
}

void exercise_hostile(char **argv)
{
	struct device device = device_take(argv[0]);

	errno = ENODEV;
	if (!is_block(&device) && device.type != VIRTIO_ID_RNG)
		die("%s is neither an entropy device nor a disk", argv[0]);
	check_service(&device, "nothing");
	check_ring_faults(&device);
	check_set_up_faults(&device);
	check_features(&device);
	check_early_reset(&device);
	if (is_block(&device))
		check_block_requests(&device);
	device_reset(&device);
}
