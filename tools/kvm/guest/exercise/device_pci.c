// SPDX-License-Identifier: GPL-2.0-only
/* A device behind PCI: virtio 1.2, 4.1.4. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "report.h"

#define FOLDER "/sys/bus/pci/devices"

enum { MODERN_IDS = 0x1040 };

static int open_file(const char *name, const char *file, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), FOLDER "/%s/%s", name, file);
	return open(path, flags | O_CLOEXEC);
}

/* Enables memory space and bus mastering, and disables INTx, which nothing waits for. */
static void enable(int config)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;

	if (pwrite(config, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		die("PCI command register");
}

static volatile uint8_t *map_bar(const char *name, unsigned int bar, uint32_t offset)
{
	char file[16];
	off_t size;
	void *at;
	int fd;

	snprintf(file, sizeof(file), "resource%u", bar);
	fd = open_file(name, file, O_RDWR);
	if (fd < 0)
		die("%s of %s", file, name);
	size = lseek(fd, 0, SEEK_END);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		die("%s of %s", file, name);
	close(fd);
	return (volatile uint8_t *)at + offset;
}

/* Finds the structures by the vendor capabilities. */
static void find_structures(struct device *device, const uint8_t *config)
{
	struct virtio_pci_notify_cap cap;

	for (unsigned int at = config[PCI_CAPABILITY_LIST]; at; at = config[at + 1]) {
		if (config[at] != PCI_CAP_ID_VNDR)
			continue;
		memcpy(&cap, config + at, sizeof(cap));
		if (cap.cap.cfg_type == VIRTIO_PCI_CAP_COMMON_CFG)
			device->common = (volatile void *)map_bar(device->name, cap.cap.bar,
								  cap.cap.offset);
		if (cap.cap.cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			device->doorbells = map_bar(device->name, cap.cap.bar, cap.cap.offset);
			device->doorbell_step = cap.notify_off_multiplier;
		}
	}
	errno = ENODEV;
	if (!device->common || !device->doorbells)
		die("%s has no structures of virtio's", device->name);
}

static uint8_t status(struct device *device)
{
	return device->common->device_status;
}

static void set_status(struct device *device, uint8_t status)
{
	device->common->device_status = status;
}

static void accept(struct device *device, uint32_t half, uint32_t features)
{
	device->common->guest_feature_select = half;
	device->common->guest_feature = features;
}

static uint16_t most_entries(struct device *device)
{
	device->common->queue_select = 0;
	return device->common->queue_size;
}

static void set_up_queue(struct device *device)
{
	volatile struct virtio_pci_common_cfg *common = device->common;

	common->queue_size = device->entries;
	common->queue_desc_lo = device->table_at;
	common->queue_desc_hi = device->table_at >> 32;
	common->queue_avail_lo = device->available_at;
	common->queue_avail_hi = device->available_at >> 32;
	common->queue_used_lo = device->used_at;
	common->queue_used_hi = device->used_at >> 32;
	common->queue_enable = 1;
}

static void notify(struct device *device)
{
	uint16_t place = device->common->queue_notify_off;

	*(volatile uint16_t *)(device->doorbells + place * device->doorbell_step) = 0;
}

static const struct registers registers = {
	.status = status,
	.set_status = set_status,
	.accept = accept,
	.most_entries = most_entries,
	.set_up_queue = set_up_queue,
	.notify = notify,
};

bool device_take_pci(struct device *device)
{
	uint8_t bytes[256];
	uint16_t id;
	int config = open_file(device->name, "config", O_RDWR);

	if (config < 0)
		return false;
	device_unbind(FOLDER, device->name);
	if (pread(config, bytes, sizeof(bytes), 0) != sizeof(bytes))
		die("configuration space of %s", device->name);
	memcpy(&id, bytes + PCI_DEVICE_ID, sizeof(id));
	enable(config);
	close(config);
	find_structures(device, bytes);
	device->type = id - MODERN_IDS;
	device->registers = &registers;
	return true;
}
