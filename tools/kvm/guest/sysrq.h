/* SPDX-License-Identifier: GPL-2.0-only */
/* Magic SysRq, as the host asks for it. */
#ifndef TOOLSKVM_SYSRQ_H
#define TOOLSKVM_SYSRQ_H

#include "frames.h"

/* Gives the frame's key to the kernel, which acts at once; says so where it has no ear for it. */
void sysrq(const struct frame *frame);

#endif
