// SPDX-License-Identifier: GPL-2.0-only
#include "function.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"
#include "timing.h"

enum { PAGE = 4096, PATIENCE_MS = 3000, AVAILABLE_AT = 0x400, USED_AT = 0x800 };

static int open_file(const char *function, const char *file, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", function, file);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die("%s", path);
	return fd;
}

/* Kept by its driver, a function would be driven by both. */
static void unbind(const char *function)
{
	int fd = open_file(function, "driver/unbind", O_WRONLY);

	if (write(fd, function, strlen(function)) < 0)
		die("unbinding %s", function);
	close(fd);
}

/* Memory space and bus mastering on, interrupts by wire off: nobody waits for them. */
static void enable(int config)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;

	if (pwrite(config, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		die("PCI command register");
}

static volatile uint8_t *map_bar(const char *function, unsigned int bar, uint32_t offset)
{
	char file[16];
	off_t size;
	void *at;
	int fd;

	snprintf(file, sizeof(file), "resource%u", bar);
	fd = open_file(function, file, O_RDWR);
	size = lseek(fd, 0, SEEK_END);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		die("%s of %s", file, function);
	close(fd);
	return (volatile uint8_t *)at + offset;
}

/* The vendor capabilities say where the structures are (virtio 1.2, 4.1.4). */
static void find_structures(struct function *function, const uint8_t *config)
{
	struct virtio_pci_notify_cap cap;

	for (unsigned int at = config[PCI_CAPABILITY_LIST]; at; at = config[at + 1]) {
		if (config[at] != PCI_CAP_ID_VNDR)
			continue;
		memcpy(&cap, config + at, sizeof(cap));
		if (cap.cap.cfg_type == VIRTIO_PCI_CAP_COMMON_CFG)
			function->common = (volatile void *)map_bar(function->name, cap.cap.bar,
								    cap.cap.offset);
		if (cap.cap.cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			function->notify = map_bar(function->name, cap.cap.bar, cap.cap.offset);
			function->notify_step = cap.notify_off_multiplier;
		}
	}
	errno = ENODEV;
	if (!function->common || !function->notify)
		die("%s has no structures of virtio's", function->name);
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

struct function function_take(const char *name)
{
	struct function function = { .name = name };
	uint8_t bytes[256];
	int config;

	unbind(name);
	config = open_file(name, "config", O_RDWR);
	if (pread(config, bytes, sizeof(bytes), 0) != sizeof(bytes))
		die("configuration space of %s", name);
	memcpy(&function.device_id, bytes + PCI_DEVICE_ID, sizeof(function.device_id));
	enable(config);
	close(config);
	find_structures(&function, bytes);
	function.ring = take_page();
	function.table = take_page();
	function.data = take_page();
	function.answer = take_page();
	function.descriptors = function.ring.at;
	function.available = (void *)((char *)function.ring.at + AVAILABLE_AT);
	function.used = (void *)((char *)function.ring.at + USED_AT);
	return function;
}

void function_reset(struct function *function)
{
	function->common->device_status = 0;
	for (int ms = 0; function->common->device_status != 0; ms++) {
		errno = ETIMEDOUT;
		if (ms == PATIENCE_MS)
			die("%s does not come out of its reset", function->name);
		usleep(1000);
	}
	function->common->queue_select = 0;	/* the only one that is driven */
	function->entries = function->common->queue_size;	/* the most that it takes */
	if (function->entries > MOST_ENTRIES)
		function->entries = MOST_ENTRIES;
	memset(function->ring.at, 0, PAGE);
	memset(function->table.at, 0, PAGE);
	memset(function->data.at, 0, PAGE);
	memset(function->answer.at, 0xff, PAGE);
	function->table_at = function->ring.physical;
	function->available_at = function->ring.physical + AVAILABLE_AT;
	function->used_at = function->ring.physical + USED_AT;
}

bool function_negotiate(struct function *function, uint64_t besides)
{
	const uint8_t asked = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	const uint64_t wanted =
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | besides;

	function->common->device_status = asked;
	for (uint32_t half = 0; half < 2; half++) {
		function->common->guest_feature_select = half;
		function->common->guest_feature = wanted >> (32 * half);
	}
	function->common->device_status = asked | VIRTIO_CONFIG_S_FEATURES_OK;
	return function->common->device_status & VIRTIO_CONFIG_S_FEATURES_OK;
}

void function_start(struct function *function)
{
	volatile struct virtio_pci_common_cfg *common = function->common;

	errno = EPROTO;
	if (!function_negotiate(function, 0))
		die("%s refuses features that it offers", function->name);
	common->queue_size = function->entries;
	common->queue_desc_lo = function->table_at;
	common->queue_desc_hi = function->table_at >> 32;
	common->queue_avail_lo = function->available_at;
	common->queue_avail_hi = function->available_at >> 32;
	common->queue_used_lo = function->used_at;
	common->queue_used_hi = function->used_at >> 32;
	common->queue_enable = 1;
	common->device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
}

void function_submit(struct function *function, uint16_t head, uint16_t count)
{
	uint16_t index = function->available->idx;
	uint16_t place;

	function->available->ring[index % function->entries] = head;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	function->available->idx = index + count;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	place = function->common->queue_notify_off;
	*(volatile uint16_t *)(function->notify + place * function->notify_step) = 0;
}

bool function_await_used(struct function *function, uint16_t index)
{
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (function->used->idx == index)
			return true;
		usleep(1000);
	}
	return false;
}

bool function_await_needs_reset(struct function *function)
{
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (function->common->device_status & VIRTIO_CONFIG_S_NEEDS_RESET)
			return true;
		usleep(1000);
	}
	return false;
}
