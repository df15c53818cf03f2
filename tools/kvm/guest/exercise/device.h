/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device driven from a program: its registers through the resource files of sysfs
 * behind PCI, or /dev/mem on virtio-mmio, its first queue as a split ring in this program's
 * own pages, whose physical addresses are in /proc/self/pagemap. For a driver that does what
 * the kernel's never would. One thread; root.
 *
 * Source: virtio 1.2, 2.1 (status), 2.7 (split virtqueues), 4.1.4 (PCI), 4.2.2 (MMIO).
 */
#ifndef TOOLSKVM_EXERCISE_DEVICE_H
#define TOOLSKVM_EXERCISE_DEVICE_H

#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

enum { MOST_ENTRIES = 16 };

/* A page, and its physical address. */
struct page {
	void *at;
	uint64_t physical;
};

struct device;

/* A driver's accesses to a device's registers, for either transport. */
struct registers {
	uint8_t (*status)(struct device *device);
	void (*set_status)(struct device *device, uint8_t status);
	void (*accept)(struct device *device, uint32_t half, uint32_t features);
	/* The maximum size of the first queue, the only one used. */
	uint16_t (*most_entries)(struct device *device);
	/* Writes its size and the three addresses below, and makes it ready. */
	void (*set_up_queue)(struct device *device);
	void (*notify)(struct device *device);
};

struct device {
	const char *name;			/* as in /sys/bus/pci/devices, or .../platform/devices */
	uint32_t type;				/* VIRTIO_ID_* */
	const struct registers *registers;

	/* With PCI. */
	volatile struct virtio_pci_common_cfg *common;
	volatile uint8_t *doorbells;
	uint32_t doorbell_step;			/* bytes from one queue's to the next */
	/* On virtio-mmio. */
	volatile uint32_t *words;

	uint16_t entries;			/* ring size: 16, or the device's maximum if smaller */

	/* The addresses that start() passes to the device; a caller may change them. */
	uint64_t table_at, available_at, used_at;
	struct page ring, table, data, answer;	/* table: for indirect descriptors */
	volatile struct vring_desc *descriptors;
	volatile struct vring_avail *available;
	volatile struct vring_used *used;
};

/* Takes a device from its driver. Ends the program if that fails. */
struct device device_take(const char *name);

/* The parts of device_take() for each transport: true if the device uses that transport. */
bool device_take_pci(struct device *device);
bool device_take_mmio(struct device *device);

/* Unbinds a device from the driver in this folder of sysfs. */
void device_unbind(const char *folder, const char *name);

/* Resets the device, and clears the ring and its positions. */
void device_reset(struct device *device);

/* Goes from reset to FEATURES_OK with the offered features: false when the device refuses. */
bool device_negotiate(struct device *device, uint64_t besides);

/* Negotiates, sets up the first queue, and sets DRIVER_OK. */
void device_start(struct device *device);

/* Makes the chain at `head` available, advances the index by `count`, and notifies the device. */
void device_submit(struct device *device, uint16_t head, uint16_t count);

/* Waits for a used chain, or for DEVICE_NEEDS_RESET: false when it does not come in time. */
bool device_await_used(struct device *device, uint16_t index);
bool device_await_needs_reset(struct device *device);

#endif
