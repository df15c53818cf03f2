/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device behind PCI, driven from a program: its registers through the resource
 * files of sysfs, its first queue as a split ring in this program's own pages, whose
 * physical addresses /proc/self/pagemap tells. For a driver that does what the kernel's
 * never would. One thread; root.
 *
 * Source: virtio 1.2, 4.1.4 (structures behind PCI), 2.7 (split virtqueues).
 */
#ifndef TOOLSKVM_EXERCISE_FUNCTION_H
#define TOOLSKVM_EXERCISE_FUNCTION_H

#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

enum { MOST_ENTRIES = 16 };

/* A page, and where the device sees it. */
struct page {
	void *at;
	uint64_t physical;
};

struct function {
	const char *name;			/* as in /sys/bus/pci/devices */
	uint16_t device_id;			/* 0x1040 and the virtio device's */
	volatile struct virtio_pci_common_cfg *common;
	volatile uint8_t *notify;
	uint32_t notify_step;			/* bytes from one queue's place to the next */

	uint16_t entries;			/* of the ring: 16, or less where the device wants less */

	/* What start() tells the device; a caller may have it told something else. */
	uint64_t table_at, available_at, used_at;
	struct page ring, table, data, answer;	/* table: for indirect descriptors */
	volatile struct vring_desc *descriptors;
	volatile struct vring_avail *available;
	volatile struct vring_used *used;
};

/* Takes a PCI function from its driver. Ends the program when that can't be done. */
struct function function_take(const char *name);

/* Resets the device, and empties the ring and its places. */
void function_reset(struct function *function);

/* From reset to FEATURES_OK with the features that are offered: false when it is refused. */
bool function_negotiate(struct function *function, uint64_t besides);

/* Negotiates, sets up the first queue, and goes on to DRIVER_OK. */
void function_start(struct function *function);

/* Makes the chain at `head` available, as entry `count` more than there are. Tells the device. */
void function_submit(struct function *function, uint16_t head, uint16_t count);

/* Waits for a used chain, or for DEVICE_NEEDS_RESET: false when it does not come in time. */
bool function_await_used(struct function *function, uint16_t index);
bool function_await_needs_reset(struct function *function);

#endif
