/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moves bytes between a running command and the host until the command is over:
 * stdout and stderr to frames, STDIN frames to the command, signals and window sizes
 * as they come. One poll loop, no write that can block, bounded buffers: a command
 * that reads nothing, or a host that reads nothing, stops only its own direction.
 * Called once by the agent (agent.c), on init's only thread.
 */
#ifndef TOOLSKVM_PUMP_H
#define TOOLSKVM_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "frames.h"

enum pump_end {
	PUMP_EXITED,
	PUMP_POWEROFF,	/* the host requested the end */
	PUMP_HOST_GONE,
};

/* The command's exit status, and how much of its input it had read by then (not on a tty). */
struct pump_result {
	int status;
	uint64_t input_read;
};

/*
 * `children` is a signalfd for SIGCHLD. `roomy`: keep reading the host's frames even while the
 * command reads none of them. This is for a serial line, which can't stop the host and would
 * lose bytes.
 */
enum pump_end pump(struct command *command, struct frame_reader *in, struct frame_writer *out,
		   int children, bool roomy, struct pump_result *result);

#endif
