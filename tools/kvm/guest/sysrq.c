// SPDX-License-Identifier: GPL-2.0-only
#include "sysrq.h"

#include <fcntl.h>
#include <unistd.h>

#include "say.h"

void sysrq(const struct frame *frame)
{
	int trigger = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (trigger < 0 || frame->length != 1 || write(trigger, frame->payload, 1) != 1)
		say("the kernel takes no SysRq (CONFIG_MAGIC_SYSRQ)");
	if (trigger >= 0)
		close(trigger);
}
