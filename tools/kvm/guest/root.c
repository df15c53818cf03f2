// SPDX-License-Identifier: GPL-2.0-only
#include "root.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mounts.h"
#include "wants.h"

bool overlay_root(const char *tag, const char *options)
{
	if (!mount_at("9p", tag, "/lower", MS_RDONLY, options, false)) {
		not_mounted("the root", "9p");
		return false;
	}
	if (!mount_at("tmpfs", "tmpfs", "/overlay", 0, "mode=0755", false)) {
		not_mounted("the root", "tmpfs");
		return false;
	}
	make_folder("/overlay/upper");
	make_folder("/overlay/work");
	if (!mount_at("overlay", "overlay", NEW_ROOT, 0,
		      "lowerdir=/lower,upperdir=/overlay/upper,workdir=/overlay/work", false)) {
		not_mounted("the root", "overlay");
		return false;
	}
	mount_system(NEW_ROOT);
	return true;
}

bool switch_root(void)
{
	if (chdir(NEW_ROOT) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 &&
	    chroot(".") == 0 && chdir("/") == 0)
		return true;
	not_there("cannot make " NEW_ROOT " the root: %s", strerror(errno));
	return false;
}
