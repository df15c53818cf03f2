/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options for init on the kernel's command line: words of the form "toolskvm.name=value". Read
 * from /proc/cmdline, so /proc must be mounted. Called from init's only thread.
 */
#ifndef TOOLSKVM_OPTIONS_H
#define TOOLSKVM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the value of `name`; false, with `value` untouched, if there is none. */
bool boot_option(const char *name, char *value, size_t size);

#endif
