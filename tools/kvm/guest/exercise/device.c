// SPDX-License-Identifier: GPL-2.0-only
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

enum { PAGE = 4096, PATIENCE_MS = 3000, AVAILABLE_AT = 0x400, USED_AT = 0x800 };

/* Otherwise both the kernel's driver and this program would drive the device. */
void device_unbind(const char *folder, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/driver/unbind", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		die("%s", path);
	close(fd);
}

/* Bit 63: present; bits 0 to 54: the frame (Documentation/admin-guide/mm/pagemap.rst). */
static struct page take_page(void)
{
	struct page page;
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	page.at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
	if (fd < 0 || page.at == MAP_FAILED)
		die("a page with a known address");
	memset(page.at, 0, PAGE);
	if (pread(fd, &entry, sizeof(entry), (uintptr_t)page.at / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		die("/proc/self/pagemap");
	errno = EPERM;
	page.physical = (entry & ((1ULL << 55) - 1)) * PAGE;
	if (!(entry >> 63) || page.physical == 0)
		die("/proc/self/pagemap tells no address");
	close(fd);
	return page;
}

struct device device_take(const char *name)
{
	struct device device = { .name = name };

	errno = ENODEV;
	if (!device_take_pci(&device) && !device_take_mmio(&device))
		die("%s", name);
	device.ring = take_page();
	device.table = take_page();
	device.data = take_page();
	device.answer = take_page();
	device.descriptors = device.ring.at;
	device.available = (void *)((char *)device.ring.at + AVAILABLE_AT);
	device.used = (void *)((char *)device.ring.at + USED_AT);
	return device;
}

static uint8_t status(struct device *device)
{
	return device->registers->status(device);
}

void device_reset(struct device *device)
{
	device->registers->set_status(device, 0);
	for (int ms = 0; status(device) != 0; ms++) {
		errno = ETIMEDOUT;
		if (ms == PATIENCE_MS)
			die("%s does not come out of its reset", device->name);
		usleep(1000);
	}
	device->entries = device->registers->most_entries(device);
	if (device->entries > MOST_ENTRIES)
		device->entries = MOST_ENTRIES;
	memset(device->ring.at, 0, PAGE);
	memset(device->table.at, 0, PAGE);
	memset(device->data.at, 0, PAGE);
	memset(device->answer.at, 0xff, PAGE);
	device->table_at = device->ring.physical;
	device->available_at = device->ring.physical + AVAILABLE_AT;
	device->used_at = device->ring.physical + USED_AT;
}

bool device_negotiate(struct device *device, uint64_t besides)
{
	const uint8_t asked = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	const uint64_t wanted =
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | besides;

	device->registers->set_status(device, asked);
	for (uint32_t half = 0; half < 2; half++)
		device->registers->accept(device, half, wanted >> (32 * half));
	device->registers->set_status(device, asked | VIRTIO_CONFIG_S_FEATURES_OK);
	return status(device) & VIRTIO_CONFIG_S_FEATURES_OK;
}

void device_start(struct device *device)
{
	errno = EPROTO;
	if (!device_negotiate(device, 0))
		die("%s refuses features that it offers", device->name);
	device->registers->set_up_queue(device);
	device->registers->set_status(device, VIRTIO_CONFIG_S_ACKNOWLEDGE |
						      VIRTIO_CONFIG_S_DRIVER |
						      VIRTIO_CONFIG_S_FEATURES_OK |
						      VIRTIO_CONFIG_S_DRIVER_OK);
}

void device_submit(struct device *device, uint16_t head, uint16_t count)
{
	uint16_t index = device->available->idx;

	device->available->ring[index % device->entries] = head;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	device->available->idx = index + count;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	device->registers->notify(device);
}

bool device_await_used(struct device *device, uint16_t index)
{
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (device->used->idx == index)
			return true;
		usleep(1000);
	}
	return false;
}

bool device_await_needs_reset(struct device *device)
{
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (status(device) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return true;
		usleep(1000);
	}
	return false;
}
