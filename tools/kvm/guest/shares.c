// SPDX-License-Identifier: GPL-2.0-only
#include "shares.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "mounts.h"
#include "options.h"
#include "root.h"
#include "wants.h"

/*
 * The user may change shared files, so names, sizes and data are not cached, except pages on a
 * writable share, for writable mmap. Each user attaches, so that new files belong to that
 * user.
 */
#define SHARE NINE_P ",access=user"

enum { NAME_BYTES = 64, OPTION_BYTES = 1024 };

/* EBUSY of mount(2) may mean that the share is mounted already. */
static bool is_mounted(const char *path)
{
	struct stat folder, above;

	if (stat(path, &folder) == 0 && stat("/mnt", &above) == 0 &&
	    folder.st_dev != above.st_dev)
		return true;
	errno = EBUSY;
	return false;
}

void mount_shares(void)
{
	char names[OPTION_BYTES], path[NAME_BYTES + sizeof("/mnt/")], *rest = names, *name;

	if (!boot_option("toolskvm.shares", names, sizeof(names)))
		return;
	while ((name = strsep(&rest, ","))) {
		char *mode = strchr(name, ':');
		bool read_only = mode && strcmp(mode, ":ro") == 0;

		if (mode)
			*mode = '\0';
		snprintf(path, sizeof(path), "/mnt/%.*s", NAME_BYTES, name);
		if (!mount_at("9p", name, path, MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0),
			      read_only ? SHARE ",cache=none" : SHARE ",cache=mmap", false) ||
		    !is_mounted(path))
			not_mounted(path, "9p");
	}
}
