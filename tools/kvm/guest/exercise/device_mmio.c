// SPDX-License-Identifier: GPL-2.0-only
/* A device on virtio-mmio: virtio 1.2, 4.2.2. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "report.h"

#define FOLDER "/sys/bus/platform/devices"

enum { PAGE = 4096, MAGIC = 0x74726976 };

/* The device's address in the kernel's list, or 0. */
static uint64_t place_of(const char *name)
{
	unsigned long long first, last;
	char line[256], owner[128];
	uint64_t found = 0;
	FILE *file = fopen("/proc/iomem", "r");

	if (!file)
		die("/proc/iomem");
	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx : %127s", &first, &last, owner) == 3 &&
		    !strcmp(owner, name))
			found = first;
	}
	fclose(file);
	return found;
}

static volatile uint32_t *word(struct device *device, unsigned int offset)
{
	return device->words + offset / sizeof(uint32_t);
}

static void put64(struct device *device, unsigned int low, unsigned int high, uint64_t value)
{
	*word(device, low) = value;
	*word(device, high) = value >> 32;
}

static uint8_t status(struct device *device)
{
	return *word(device, VIRTIO_MMIO_STATUS);
}

static void set_status(struct device *device, uint8_t status)
{
	*word(device, VIRTIO_MMIO_STATUS) = status;
}

static void accept(struct device *device, uint32_t half, uint32_t features)
{
	*word(device, VIRTIO_MMIO_DRIVER_FEATURES_SEL) = half;
	*word(device, VIRTIO_MMIO_DRIVER_FEATURES) = features;
}

static uint16_t most_entries(struct device *device)
{
	*word(device, VIRTIO_MMIO_QUEUE_SEL) = 0;
	return *word(device, VIRTIO_MMIO_QUEUE_NUM_MAX);
}

static void set_up_queue(struct device *device)
{
	*word(device, VIRTIO_MMIO_QUEUE_NUM) = device->entries;
	put64(device, VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH, device->table_at);
	put64(device, VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
	      device->available_at);
	put64(device, VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH, device->used_at);
	*word(device, VIRTIO_MMIO_QUEUE_READY) = 1;
}

static void notify(struct device *device)
{
	*word(device, VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
}

static const struct registers registers = {
	.status = status,
	.set_status = set_status,
	.accept = accept,
	.most_entries = most_entries,
	.set_up_queue = set_up_queue,
	.notify = notify,
};

bool device_take_mmio(struct device *device)
{
	uint64_t place = place_of(device->name);
	void *at;
	int fd;

	if (!place)
		return false;
	device_unbind(FOLDER, device->name);
	fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0)
		die("/dev/mem");
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)place);
	if (at == MAP_FAILED)
		die("the registers of %s", device->name);
	close(fd);
	device->words = at;
	errno = ENODEV;
	if (*word(device, VIRTIO_MMIO_MAGIC_VALUE) != MAGIC)
		die("%s is not virtio-mmio", device->name);
	device->type = *word(device, VIRTIO_MMIO_DEVICE_ID);
	device->registers = &registers;
	return true;
}
