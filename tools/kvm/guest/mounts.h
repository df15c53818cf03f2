/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * File systems and the few files every program expects. init calls these before
 * anything else runs, for both roles; `root` is "" or the folder that becomes /.
 */
#ifndef TOOLSKVM_MOUNTS_H
#define TOOLSKVM_MOUNTS_H

#include <stdbool.h>

/* Make the folder and its missing parents. */
void make_folder(const char *path);

/*
 * Like mount(2), including errno, but makes the mount point; reports failures unless
 * `optional`.
 */
bool mount_at(const char *type, const char *source, const char *path, unsigned long flags,
	      const char *options, bool optional);

/* Mount proc, sys, dev, run and the file systems in them. */
void mount_system(const char *root);

#endif
