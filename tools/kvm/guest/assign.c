// SPDX-License-Identifier: GPL-2.0-only
#include "assign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "say.h"

#define FUNCTIONS "/sys/bus/pci/devices"
#define PROBE "/sys/bus/pci/drivers_probe"
#define DRIVER "vfio-pci"

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

static void assign(const char *address)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), FUNCTIONS "/%s/driver/unbind", address);
	if (!put(path, address) && errno != ENOENT)
		say_errno("cannot take %s from its driver", address);
	snprintf(path, sizeof(path), FUNCTIONS "/%s/driver_override", address);
	if (!put(path, DRIVER) || !put(PROBE, address))
		say_errno("cannot give %s to " DRIVER, address);
}

void assign_functions(void)
{
	char addresses[512], *place = NULL;

	if (!boot_option("toolskvm.assign", addresses, sizeof(addresses)))
		return;
	for (char *one = strtok_r(addresses, ",", &place); one; one = strtok_r(NULL, ",", &place))
		assign(one);
}
