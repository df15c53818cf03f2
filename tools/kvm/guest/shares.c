// SPDX-License-Identifier: GPL-2.0-only
#include "shares.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "mounts.h"
#include "options.h"

/* Both sides may write, so names and sizes are not cached; pages are, for mmap. */
#define NINE_P "trans=virtio,version=9p2000.L,msize=512000,cache=mmap"

enum { NAME_BYTES = 64, OPTION_BYTES = 1024 };

void mount_shares(void)
{
	char names[OPTION_BYTES], path[NAME_BYTES + sizeof("/mnt/")], *rest = names, *name;

	if (!boot_option("toolskvm.shares", names, sizeof(names)))
		return;
	while ((name = strsep(&rest, ","))) {
		char *mode = strchr(name, ':');
		unsigned long flags = MS_NOSUID | MS_NODEV;

		if (mode) {
			*mode++ = '\0';
			if (strcmp(mode, "ro") == 0)
				flags |= MS_RDONLY;
		}
		snprintf(path, sizeof(path), "/mnt/%.*s", NAME_BYTES, name);
		mount_at("9p", name, path, flags, NINE_P, false);
	}
}
