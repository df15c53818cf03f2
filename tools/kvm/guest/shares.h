/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's folders that this guest may use: "toolskvm.shares=NAME,NAME:ro" on the kernel's
 * command line. Called by init before the agent starts, when /proc is mounted.
 */
#ifndef TOOLSKVM_SHARES_H
#define TOOLSKVM_SHARES_H

/* Mounts each at /mnt/NAME; reports failures. */
void mount_shares(void);

#endif
