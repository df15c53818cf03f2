/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requested devices and features that the guest lacks: HELLO reports them, so that no run
 * passes without them. Called from init's only thread.
 */
#ifndef TOOLSKVM_WANTS_H
#define TOOLSKVM_WANTS_H

/* The kernel was built without the needed option, which is not a failure. */
void kernel_lacks(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The kernel has the needed option, but the device is missing. */
void not_there(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `what` is not mounted: mount(2) left errno. */
void not_mounted(const char *what, const char *type);

/*
 * toolskvm.wants=mmio,disk:2,net:1,...: the transport of virtio devices, and their number by
 * kind. Call it after drivers have probed and with /sys mounted.
 */
void check_wanted_devices(void);

/* A text with everything lacking, separated by "; "; "" when nothing is. */
const char *lacking(void);
const char *missing(void);

#endif
