/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a folder of the host the root of this machine: shared read-only, with an overlay in
 * memory for writes. Called from init's only thread; errors go to the console.
 */
#ifndef TOOLSKVM_ROOT_H
#define TOOLSKVM_ROOT_H

#include <stdbool.h>

#define NEW_ROOT "/newroot"
#define NINE_P "trans=virtio,version=9p2000.L,msize=512000"

/*
 * Assembles the root at NEW_ROOT from the 9p share `tag`, mounted with these options, and
 * mounts the kernel's file systems in it.
 */
bool overlay_root(const char *tag, const char *options);

/* Makes NEW_ROOT the root. */
bool switch_root(void);

#endif
