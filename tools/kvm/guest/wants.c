// SPDX-License-Identifier: GPL-2.0-only
#include "wants.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

#define BUS "/sys/bus/virtio"
#define NINE_P_DRIVER BUS "/drivers/9pnet_virtio"

enum { TEXT_BYTES = 1000 };

static char lacks_text[TEXT_BYTES], missing_text[TEXT_BYTES];

struct kind {
	const char *name, *words, *driver, *symbol;
	unsigned int id;	/* include/uapi/linux/virtio_ids.h */
};

static const struct kind kinds[] = {
	{ "net", "network interfaces", "virtio_net", "CONFIG_VIRTIO_NET", 1 },
	{ "disk", "disks", "virtio_blk", "CONFIG_VIRTIO_BLK", 2 },
	{ "balloon", "memory balloons", "virtio_balloon", "CONFIG_VIRTIO_BALLOON", 5 },
	{ "input", "input devices", "virtio_input", "CONFIG_VIRTIO_INPUT", 18 },
	{ "vsock", "vsock devices", "vmw_vsock_virtio_transport", "CONFIG_VIRTIO_VSOCKETS", 19 },
};

static void add(char *text, const char *format, va_list words)
{
	size_t used = strlen(text);

	if (used)
		used += (size_t)snprintf(text + used, TEXT_BYTES - used, "; ");
	if (used < TEXT_BYTES)
		vsnprintf(text + used, TEXT_BYTES - used, format, words);
}

void kernel_lacks(const char *format, ...)
{
	va_list words;

	va_start(words, format);
	add(lacks_text, format, words);
	va_end(words);
}

void not_there(const char *format, ...)
{
	va_list words;

	va_start(words, format);
	add(missing_text, format, words);
	va_end(words);
}

const char *lacking(void)
{
	return lacks_text;
}

const char *missing(void)
{
	return missing_text;
}

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

void not_mounted(const char *what, const char *type)
{
	int error = errno;
	bool nine_p = strcmp(type, "9p") == 0;

	if (nine_p && (error == ENODEV || !there(NINE_P_DRIVER)))
		kernel_lacks("%s: the guest's kernel has no 9p by virtio (CONFIG_9P_FS, "
			     "CONFIG_NET_9P_VIRTIO)", what);
	else if (error == ENODEV)
		kernel_lacks("%s: the guest's kernel has no %s (%s)", what, type,
			     strcmp(type, "overlay") == 0 ? "CONFIG_OVERLAY_FS" : "CONFIG_TMPFS");
	else
		not_there("%s is not mounted: %s", what, strerror(error));
}

static unsigned int id_of(const char *device)
{
	char path[300], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), BUS "/devices/%s/device", device);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return (unsigned int)strtoul(text, NULL, 16);
}

/* Counts the devices of this kind, and how many of them have a driver. */
static void count(const struct kind *kind, int *found, int *taken)
{
	DIR *devices = opendir(BUS "/devices");
	struct dirent *entry;
	char path[300];

	*found = *taken = 0;
	while (devices && (entry = readdir(devices))) {
		if (entry->d_name[0] == '.' || id_of(entry->d_name) != kind->id)
			continue;
		snprintf(path, sizeof(path), BUS "/devices/%s/driver", entry->d_name);
		++*found;
		*taken += there(path);
	}
	if (devices)
		closedir(devices);
}

/* NULL, or the option that the kernel needs to find virtio devices on this bus. */
static const char *lacking_bus(const char *bus)
{
	if (strcmp(bus, "pci") == 0)
		return there("/sys/bus/pci/drivers/virtio-pci") ? NULL :
			"CONFIG_PCI, CONFIG_VIRTIO_PCI";
	if (!there("/sys/bus/platform/drivers/virtio-mmio"))
		return "CONFIG_VIRTIO_MMIO";
	return there("/sys/module/virtio_mmio/parameters/device") || there("/sys/firmware/acpi") ?
		NULL : "CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES or CONFIG_ACPI";
}

static void check_kind(const struct kind *kind, int wanted, const char *bus)
{
	const char *needs = lacking_bus(bus);
	int found, taken;
	char driver[300];

	count(kind, &found, &taken);
	snprintf(driver, sizeof(driver), BUS "/drivers/%s", kind->driver);
	if (taken >= wanted)
		return;
	if (!there(driver))
		kernel_lacks("%d of %d %s are there: the guest's kernel has no %s (%s)", taken,
			     wanted, kind->words, kind->driver, kind->symbol);
	else if (found < wanted && needs)
		kernel_lacks("%d of %d %s are there: the guest's kernel does not look for them "
			     "(%s)", taken, wanted, kind->words, needs);
	else if (found < wanted)
		not_there("%d of %d %s are there: the guest's kernel finds no more", taken, wanted,
			  kind->words);
	else
		not_there("%d of %d %s are there: %s did not take the others", taken, wanted,
			  kind->words, kind->driver);
}

static void check_display(void)
{
	if (!there("/sys/class/graphics/fb0") && !there("/sys/class/drm/card0"))
		kernel_lacks("no display: the guest's kernel has no frame buffer (CONFIG_FB_VESA)");
}

/* The 8250 driver makes a node for each line it may have; only a real one has a type. */
static void check_line(int number)
{
	char path[64], type[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/tty/ttyS%d/type", number);
	file = fopen(path, "re");
	if (file && !fgets(type, sizeof(type), file))
		type[0] = '\0';
	if (file)
		fclose(file);
	if (atoi(type) == 0)
		kernel_lacks("ttyS%d is not there: the guest's kernel does not drive it "
			     "(CONFIG_SERIAL_8250)", number);
}

/*
 * Counts functions except the host bridge. Virtio functions and assigned ones are not
 * distinguished.
 */
static void check_functions(int wanted)
{
	DIR *functions = opendir("/sys/bus/pci/devices");
	struct dirent *entry;
	int found = -1;

	if (!functions) {
		kernel_lacks("no PCI functions: the guest's kernel has no PCI (CONFIG_PCI)");
		return;
	}
	while ((entry = readdir(functions)))
		found += entry->d_name[0] != '.';
	closedir(functions);
	if (found < wanted)
		not_there("%d of %d PCI functions are there", found < 0 ? 0 : found, wanted);
}

static void check(const char *name, int number, const char *bus)
{
	if (strcmp(name, "display") == 0)
		check_display();
	else if (strcmp(name, "tty") == 0)
		check_line(number);
	else if (strcmp(name, "pci") == 0)
		check_functions(number);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(name, kinds[i].name) == 0)
			check_kind(&kinds[i], number, bus);
	}
}

void check_wanted_devices(void)
{
	char told[200], *rest = told, *bus, *name;

	if (!boot_option("toolskvm.wants", told, sizeof(told)))
		return;
	if (!there("/sys/bus")) {
		kernel_lacks("nothing that was asked for can be seen: the guest's kernel has no "
			     "sysfs (CONFIG_SYSFS)");
		return;
	}
	bus = strsep(&rest, ",");
	while ((name = strsep(&rest, ","))) {
		char *number = strchr(name, ':');

		if (number)
			*number++ = '\0';
		check(name, number ? atoi(number) : 1, bus);
	}
}
