/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * File systems and the few files every program expects. init calls these before
 * anything else runs, for both roles; `root` is "" or the folder that becomes /.
 */
#ifndef TOOLSKVM_MOUNTS_H
#define TOOLSKVM_MOUNTS_H

#include <stdbool.h>

/* Make the folder and those above it that are missing. */
void make_folder(const char *path);

/* As mount(2), errno too, making the mount point; says what failed unless `optional`. */
bool mount_at(const char *type, const char *source, const char *path, unsigned long flags,
	      const char *options, bool optional);

/* proc, sys, dev, run and what lies in them. */
void mount_system(const char *root);

#endif
