/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command that a host requests: its argv and environment, and the process once it runs.
 * The agent (agent.c) parses one from a RUN frame and starts it; the pump (pump.c) moves its
 * bytes. Owned by the agent, used from init's only thread.
 */
#ifndef TOOLSKVM_COMMAND_H
#define TOOLSKVM_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frames.h"

struct request {
	bool tty, count_input;
	bool stay;	/* wait for another command after it */
	uint16_t rows, cols;
	char **argv;	/* NULL-terminated */
	char **env;	/* "K=V", NULL-terminated */
	char *storage;	/* argv and env point into it */
};

struct command {
	pid_t pid;
	bool tty;
	/*
	 * The agent's ends, non-blocking; -1 once closed. On a tty `in` and `out` are its
	 * master.
	 */
	int in, out, err;
};

/* False when the payload of the RUN frame is malformed. */
bool request_parse(struct request *request, const struct frame *frame);
void request_free(struct request *request);

/*
 * Start it in a new session. Returns 0, or the errno of the failure (of a pipe, a pty, fork or
 * execve). PATH comes from the request's environment.
 */
int command_start(struct command *command, const struct request *request);

/* The folder to start in, from PWD in the request's environment; NULL: any. */
const char *request_folder(const struct request *request);

/* The exit code of a shell: 127 for not found, 126 for not executable. */
int command_refusal_code(int error);
void command_explain(char *line, size_t size, const struct request *request, int error);

void command_signal(const struct command *command, int number);
void command_resize(const struct command *command, uint16_t rows, uint16_t cols);
void command_close_input(struct command *command);

#endif
