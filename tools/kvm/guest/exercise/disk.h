/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk without the page cache: each read and write goes to the device.
 */
#ifndef TOOLSKVM_EXERCISE_DISK_H
#define TOOLSKVM_EXERCISE_DISK_H

#include <stdint.h>
#include <stddef.h>

/* Open with O_DIRECT; dies when it can't. */
int disk_open(const char *path);

/* Memory for O_DIRECT, page-aligned. */
void *disk_buffer(size_t size);

/* Transfer all of it; an error, which names the offset, ends the program. */
void disk_write(int fd, const void *from, size_t length, uint64_t offset);
void disk_read(int fd, void *into, size_t length, uint64_t offset);

#endif
