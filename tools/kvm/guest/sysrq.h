/* SPDX-License-Identifier: GPL-2.0-only */
/* Magic SysRq on request of the host. */
#ifndef TOOLSKVM_SYSRQ_H
#define TOOLSKVM_SYSRQ_H

#include "frames.h"

/*
 * Passes the frame's key to the kernel, which acts at once; reports it if the kernel lacks
 * SysRq.
 */
void sysrq(const struct frame *frame);

#endif
