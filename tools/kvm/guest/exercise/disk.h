/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk past the page cache: what is read and written is what the device does.
 */
#ifndef TOOLSKVM_EXERCISE_DISK_H
#define TOOLSKVM_EXERCISE_DISK_H

#include <stdint.h>
#include <stddef.h>

/* Open with O_DIRECT; dies when it can't. */
int disk_open(const char *path);

/* Memory fit for it, at a page's beginning. */
void *disk_buffer(size_t size);

/* Move all of it; dies on an error, which names the place. */
void disk_write(int fd, const void *from, size_t length, uint64_t offset);
void disk_read(int fd, void *into, size_t length, uint64_t offset);

#endif
