/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the user asked this machine for, and the guest has not got: HELLO tells it, so that no
 * verdict is a pass without it. Called from init's only thread.
 */
#ifndef TOOLSKVM_WANTS_H
#define TOOLSKVM_WANTS_H

/* The kernel was built without what it takes, which is nobody's failure. */
void kernel_lacks(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The kernel has what it takes, and it is not there all the same. */
void not_there(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `what` is not mounted: mount(2) left errno. */
void not_mounted(const char *what, const char *type);

/*
 * toolskvm.wants=mmio,disk:2,net:1,...: how virtio devices are found, and how many there are of
 * each kind. To be called when drivers have probed and /sys is mounted.
 */
void check_wanted_devices(void);

/* In words, with "; " between; "" when there is nothing to tell. */
const char *lacking(void);
const char *missing(void);

#endif
