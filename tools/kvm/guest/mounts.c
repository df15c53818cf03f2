// SPDX-License-Identifier: GPL-2.0-only
#include "mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "say.h"

struct mount_entry {
	const char *type, *path, *options;
	unsigned long flags;
	bool optional;
};

enum { SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC };

/*
 * In this order, as later ones lie in earlier ones. Some are optional, as not every kernel has
 * them.
 */
static const struct mount_entry system_mounts[] = {
	{ "proc", "/proc", NULL, SAFE, false },
	{ "sysfs", "/sys", NULL, SAFE, false },
	{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID, true },
	{ "devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC, true },
	{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, true },
	{ "tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV, true },
};

/* These exist in sysfs exactly when the kernel has the file system for them. */
static const struct mount_entry kernel_mounts[] = {
	{ "debugfs", "/sys/kernel/debug", NULL, SAFE, true },
	{ "tracefs", "/sys/kernel/tracing", NULL, SAFE, true },
	{ "cgroup2", "/sys/fs/cgroup", NULL, SAFE, true },
};

static const struct { const char *name; unsigned int major, minor; } nodes[] = {
	{ "/dev/console", 5, 1 }, { "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 },
	{ "/dev/full", 1, 7 }, { "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 },
	{ "/dev/kmsg", 1, 11 }, { "/dev/tty", 5, 0 }, { "/dev/ptmx", 5, 2 },
	{ "/dev/ttyS0", 4, 64 }, { "/dev/ttyS1", 4, 65 },
};

static const struct { const char *target, *name; } links[] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void make_folder(const char *path)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *slash = folder + 1; *slash; slash++) {
		if (*slash != '/')
			continue;
		*slash = '\0';
		mkdir(folder, 0755);
		*slash = '/';
	}
	mkdir(folder, 0755);
}

bool mount_at(const char *type, const char *source, const char *path, unsigned long flags,
	      const char *options, bool optional)
{
	if (access(path, F_OK) != 0)
		make_folder(path);
	if (mount(source, path, type, flags, options) == 0 || errno == EBUSY)
		return true;
	if (!optional) {
		int error = errno;

		say_errno("cannot mount %s (%s) on %s", source, type, path);
		errno = error;
	}
	return false;
}

/* Without devtmpfs the initramfs's folder is used, with the nodes that init needs. */
static void make_nodes(const char *root)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < COUNT(nodes); i++) {
		snprintf(path, sizeof(path), "%s%s", root, nodes[i].name);
		mknod(path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor));
	}
}

void mount_system(const char *root)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < COUNT(system_mounts); i++) {
		const struct mount_entry *entry = &system_mounts[i];
		bool done;

		snprintf(path, sizeof(path), "%s%s", root, entry->path);
		done = mount_at(entry->type, entry->type, path, entry->flags, entry->options,
				entry->optional);
		if (!done && strcmp(entry->type, "devtmpfs") == 0)
			make_nodes(root);
	}
	for (size_t i = 0; i < COUNT(kernel_mounts); i++) {
		const struct mount_entry *entry = &kernel_mounts[i];

		snprintf(path, sizeof(path), "%s%s", root, entry->path);
		if (access(path, F_OK) == 0)
			mount(entry->type, path, entry->type, entry->flags, entry->options);
	}
	for (size_t i = 0; i < COUNT(links); i++) {
		snprintf(path, sizeof(path), "%s%s", root, links[i].name);
		if (symlink(links[i].target, path) < 0 && errno != EEXIST)
			say_errno("cannot make %s", path);
	}
}
