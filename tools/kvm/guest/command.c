// SPDX-License-Identifier: GPL-2.0-only
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	RUN_HEADER = 12,	/* u32 flags, u16 rows, u16 cols, u32 argc */
	RUN_TTY = 1 << 0,
	RUN_COUNT_INPUT = 1 << 1,
	RUN_STAY = 1 << 2,
	PIPE_BYTES = 256 * 1024,
};

static const char *const base_environment[][2] = {
	{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
	{ "HOME", "/root" },
	{ "USER", "root" },
	{ "LOGNAME", "root" },
	{ "SHELL", "/bin/sh" },
	{ "TERM", "linux" },
};

bool request_parse(struct request *request, const struct frame *frame)
{
	size_t size = frame->length, words = 0, argc, next = 0;
	const uint8_t *head = frame->payload;

	memset(request, 0, sizeof(*request));
	if (size <= RUN_HEADER || head[size - 1] != '\0')
		return false;
	for (size_t i = RUN_HEADER; i < size; i++)
		words += head[i] == '\0';
	argc = get_le32(head + 8);
	if (argc == 0 || argc > words)
		return false;
	request->tty = get_le32(head) & RUN_TTY;
	request->count_input = get_le32(head) & RUN_COUNT_INPUT;
	request->stay = get_le32(head) & RUN_STAY;
	request->rows = get_le16(head + 4);
	request->cols = get_le16(head + 6);
	request->storage = malloc(size - RUN_HEADER);
	request->argv = calloc(words + 2, sizeof(char *));
	if (!request->storage || !request->argv) {
		request_free(request);
		return false;
	}
	memcpy(request->storage, head + RUN_HEADER, size - RUN_HEADER);
	request->env = request->argv + argc + 1;
	for (size_t word = 0; word < words; word++) {
		char **slot = word < argc ? request->argv + word : request->env + word - argc;

		*slot = request->storage + next;
		next += strlen(*slot) + 1;
	}
	return true;
}

void request_free(struct request *request)
{
	free(request->storage);
	free(request->argv);
	memset(request, 0, sizeof(*request));
}

const char *request_folder(const struct request *request)
{
	static const char name[] = "PWD=";

	for (char **variable = request->env; *variable; variable++) {
		if (strncmp(*variable, name, strlen(name)) == 0)
			return *variable + strlen(name);
	}
	return NULL;
}

/* The three standard streams of the child, and the agent's ends of them. */
struct plumbing {
	int child[3];
	int ours[3];
};

static void close_all(int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static int plumb_pipes(struct plumbing *plumbing)
{
	for (int stream = 0; stream < 3; stream++) {
		int ends[2], ours = stream == 0;

		if (pipe2(ends, O_CLOEXEC) < 0)
			return errno;
		plumbing->ours[stream] = ends[ours];
		plumbing->child[stream] = ends[!ours];
		fcntl(ends[ours], F_SETFL, O_NONBLOCK);
		/* Saves context switches; the default size works too. */
		fcntl(ends[ours], F_SETPIPE_SZ, PIPE_BYTES);
	}
	return 0;
}

static int plumb_tty(struct plumbing *plumbing, const struct request *request)
{
	struct winsize size = { .ws_row = request->rows, .ws_col = request->cols };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	int slave;
	char name[64];

	if (master < 0)
		return errno;
	plumbing->ours[0] = master;
	if (unlockpt(master) < 0 || ptsname_r(master, name, sizeof(name)) != 0)
		return errno;
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return errno;
	plumbing->child[0] = slave;
	ioctl(slave, TIOCSWINSZ, &size);
	plumbing->ours[1] = fcntl(master, F_DUPFD_CLOEXEC, 3);
	plumbing->child[1] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	plumbing->child[2] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	if (plumbing->ours[1] < 0 || plumbing->child[1] < 0 || plumbing->child[2] < 0)
		return errno;
	return 0;
}

static void set_environment(const struct request *request)
{
	clearenv();
	for (size_t i = 0; i < sizeof(base_environment) / sizeof(base_environment[0]); i++)
		setenv(base_environment[i][0], base_environment[i][1], 1);
	for (char **variable = request->env; *variable; variable++)
		putenv(*variable);
}

static void __attribute__((noreturn)) child_main(const struct request *request,
						  const struct plumbing *plumbing, int report)
{
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	/* All of them are above 2, as init opens /dev/null for each of 0..2 that is closed. */
	for (int stream = 0; stream < 3; stream++)
		dup2(plumbing->child[stream], stream);
	if (request->tty)
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	set_environment(request);
	execvp(request->argv[0], request->argv);
	error = errno;
	while (write(report, &error, sizeof(error)) < 0 && errno == EINTR)
		;
	_exit(127);
}

/* The pipe closes without data when execve succeeds. */
static int await_exec(pid_t pid, int report)
{
	int error = 0;
	ssize_t got;

	do {
		got = read(report, &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(error))
		return 0;
	waitpid(pid, NULL, 0);
	return error;
}

static int launch(struct command *command, const struct request *request,
		  const struct plumbing *plumbing)
{
	int report[2], error;

	if (pipe2(report, O_CLOEXEC) < 0)
		return errno;
	command->pid = fork();
	if (command->pid == 0)
		child_main(request, plumbing, report[1]);
	error = errno;
	close(report[1]);
	if (command->pid > 0)
		error = await_exec(command->pid, report[0]);
	close(report[0]);
	return error;
}

int command_start(struct command *command, const struct request *request)
{
	struct plumbing plumbing = { { -1, -1, -1 }, { -1, -1, -1 } };
	int error = request->tty ? plumb_tty(&plumbing, request) : plumb_pipes(&plumbing);

	if (!error)
		error = launch(command, request, &plumbing);
	close_all(plumbing.child, 3);
	if (error) {
		close_all(plumbing.ours, 3);
		return error;
	}
	command->tty = request->tty;
	command->in = plumbing.ours[0];
	command->out = plumbing.ours[1];
	command->err = plumbing.ours[2];
	return 0;
}

int command_refusal_code(int error)
{
	return error == ENOENT ? 127 : 126;
}

void command_explain(char *line, size_t size, const struct request *request, int error)
{
	const char *name = request->argv[0];
	struct stat unused;

	if (error != ENOENT)
		snprintf(line, size, "toolskvm: %s: cannot run: %s\n", name, strerror(error));
	else if (strchr(name, '/') && stat(name, &unused) == 0)
		snprintf(line, size,
			 "toolskvm: %s: is there, but its interpreter or dynamic loader is not; "
			 "link it statically or add what it needs\n", name);
	else
		snprintf(line, size, "toolskvm: %s: command not found\n", name);
}

/* On a tty the foreground job may have its own process group. */
void command_signal(const struct command *command, int number)
{
	pid_t group = command->tty && command->out >= 0 ? tcgetpgrp(command->out) : -1;

	if (number > 0 && number < NSIG)
		kill(group > 0 ? -group : -command->pid, number);
}

void command_resize(const struct command *command, uint16_t rows, uint16_t cols)
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };

	if (command->tty && command->out >= 0)
		ioctl(command->out, TIOCSWINSZ, &size);
}

void command_close_input(struct command *command)
{
	if (command->in >= 0)
		close(command->in);
	command->in = -1;
}
