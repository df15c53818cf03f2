// SPDX-License-Identifier: GPL-2.0-only
#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "sysrq.h"

enum {
	INPUT_MAX = 512 * 1024,
	INPUT_MAX_ROOMY = 64 * 1024 * 1024,
	/* How long to wait for output of orphans: while they are quiet, and while they write. */
	QUIET_MS = 200,
	NOISY_MS = 1000,
	/* The interval of heartbeats to the host, as a silent command is no hang. */
	HEARTBEAT_MS = 1000,
	REAPED_AT_ONCE = 64,
	END_OF_TRANSMISSION = 4,
};

/* Input for the command that is not written yet. */
struct backlog {
	uint8_t *bytes;
	size_t head, tail, size;
};

struct pump {
	struct command *command;
	struct frame_reader *in;
	struct frame_writer *out;
	int children;
	size_t input_max;
	struct backlog input;
	bool input_ended;
	bool poweroff, host_gone, exited, more_to_reap;
	int status;
	int64_t beat_at;
	/*
	 * Bytes written to the command's pipe, and a descriptor to inspect it after `in` is
	 * closed.
	 */
	uint64_t written;
	int input_pipe;
	/* After the exit: bytes left in the pipes at that time, and times in ms. */
	size_t owed;
	int64_t exited_at, last_output_at;
};

static bool backlog_add(struct backlog *log, const uint8_t *data, size_t length)
{
	if (log->head) {
		memmove(log->bytes, log->bytes + log->head, log->tail - log->head);
		log->tail -= log->head;
		log->head = 0;
	}
	if (log->size - log->tail < length) {
		size_t size = 2 * (log->size + length);
		uint8_t *bytes = realloc(log->bytes, size);

		if (!bytes)
			return false;
		log->bytes = bytes;
		log->size = size;
	}
	memcpy(log->bytes + log->tail, data, length);
	log->tail += length;
	return true;
}

static size_t backlog_length(const struct backlog *log)
{
	return log->tail - log->head;
}

static size_t unread(int fd)
{
	int count = 0;

	return fd >= 0 && ioctl(fd, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

static void close_input(struct pump *p)
{
	char path[64];

	if (p->input_pipe < 0 && p->command->in >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", p->command->in);
		p->input_pipe = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
	command_close_input(p->command);
}

/* The command closed its stdin or has gone: discard its input. */
static void drop_input(struct pump *p)
{
	p->input.head = p->input.tail = 0;
	if (!p->command->tty)
		close_input(p);
}

static void write_input(struct pump *p)
{
	while (p->command->in >= 0 && backlog_length(&p->input)) {
		ssize_t done = write(p->command->in, p->input.bytes + p->input.head,
				     backlog_length(&p->input));

		if (done > 0) {
			p->input.head += (size_t)done;
			p->written += (uint64_t)done;
		} else if (done == 0 || errno == EAGAIN)
			return;
		else if (errno != EINTR)
			drop_input(p);
	}
	if (p->input_ended && !p->command->tty)
		close_input(p);
}

/* On a terminal the line discipline handles the end of input. */
static void end_input(struct pump *p)
{
	static const uint8_t eof = END_OF_TRANSMISSION;

	if (p->command->tty && !p->input_ended)
		backlog_add(&p->input, &eof, 1);
	p->input_ended = true;
	write_input(p);
}

static void take_input(struct pump *p, const struct frame *frame)
{
	if (p->command->in < 0 || p->input_ended)
		return;
	if (!backlog_add(&p->input, frame->payload, frame->length))
		drop_input(p);
	write_input(p);
}

static void obey(struct pump *p, const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_STDIN:
		take_input(p, frame);
		break;
	case FRAME_STDIN_EOF:
		end_input(p);
		break;
	case FRAME_WINSIZE:
		if (frame->length == 4)
			command_resize(p->command, get_le16(frame->payload),
				       get_le16(frame->payload + 2));
		break;
	case FRAME_SIGNAL:
		if (frame->length == 4)
			command_signal(p->command, (int)get_le32(frame->payload));
		break;
	case FRAME_SYSRQ:
		sysrq(frame);
		break;
	case FRAME_POWEROFF:
		p->poweroff = true;
		break;
	}
}

static bool input_full(const struct pump *p)
{
	return backlog_length(&p->input) >= p->input_max;
}

static void obey_arrived(struct pump *p)
{
	struct frame frame;

	while (!p->poweroff && !input_full(p)) {
		enum stream_state state = frame_peek(p->in, &frame);

		if (state == STREAM_CORRUPT)
			p->host_gone = true;
		if (state != STREAM_OK)
			return;
		obey(p, &frame);
		frame_pop(p->in, &frame);
	}
}

/*
 * Reads once; the rest waits for the next step, so that a host that always sends does not
 * block others.
 */
static void hear_host(struct pump *p)
{
	if (frame_fill(p->in) == STREAM_GONE)
		p->host_gone = true;
	obey_arrived(p);
}

/* A pty's master returns EIO once its last slave is closed: that is its end of file. */
static void carry(struct pump *p, int *source, enum frame_type type)
{
	size_t room;
	uint8_t *space = frame_room(p->out, &room);
	ssize_t got;

	if (!space)
		return;
	got = read(*source, space, room);
	if (got > 0) {
		frame_commit(p->out, type, (size_t)got);
		p->owed -= (size_t)got < p->owed ? (size_t)got : p->owed;
		p->last_output_at = now_ms();
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(*source);
		*source = -1;
	}
}

/* Process 1 must reap all orphans, which may come faster than it can. */
static void reap(struct pump *p)
{
	struct signalfd_siginfo unused;
	int status;
	pid_t pid;

	while (read(p->children, &unused, sizeof(unused)) > 0)
		;
	p->more_to_reap = true;
	for (int count = 0; count < REAPED_AT_ONCE; count++) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0) {
			p->more_to_reap = false;
			return;
		}
		if (pid != p->command->pid || p->exited)
			continue;
		p->exited = true;
		p->status = status;
		p->exited_at = p->last_output_at = now_ms();
		p->owed = unread(p->command->out) + unread(p->command->err);
		drop_input(p);
	}
}

/* Milliseconds until the output of an ended command counts as complete. */
static int drain_left_ms(const struct pump *p)
{
	int64_t quiet, noisy;

	if (p->command->out < 0 && p->command->err < 0)
		return 0;
	if (p->owed)
		return NOISY_MS;
	quiet = p->last_output_at + QUIET_MS;
	noisy = p->exited_at + NOISY_MS;
	quiet = (quiet < noisy ? quiet : noisy) - now_ms();
	return quiet > 0 ? (int)quiet : 0;
}

enum { FD_PORT, FD_CHILDREN, FD_INPUT, FD_OUT, FD_ERR, FD_COUNT };

static void set_interest(struct pump *p, struct pollfd *fds)
{
	size_t unused;
	bool room = frame_room(p->out, &unused);
	bool input = p->command->in >= 0 && backlog_length(&p->input);
	int hear = input_full(p) ? 0 : POLLIN;

	fds[FD_PORT] = (struct pollfd){ .fd = p->in->fd, .events = (short)hear };
	if (frame_queued(p->out))
		fds[FD_PORT].events |= POLLOUT;
	fds[FD_CHILDREN] = (struct pollfd){ .fd = p->children, .events = POLLIN };
	fds[FD_INPUT] = (struct pollfd){ .fd = input ? p->command->in : -1, .events = POLLOUT };
	fds[FD_OUT] = (struct pollfd){ .fd = room ? p->command->out : -1, .events = POLLIN };
	fds[FD_ERR] = (struct pollfd){ .fd = room ? p->command->err : -1, .events = POLLIN };
}

/* By the clock, as this loop may be busy with input and orphans, which the host does not see. */
static void beat(struct pump *p)
{
	int64_t now = now_ms();

	if (now < p->beat_at)
		return;
	p->beat_at = now + HEARTBEAT_MS;
	if (!p->exited && !frame_queued(p->out))
		frame_put(p->out, FRAME_HEARTBEAT, "", 0);
}

static int patience_ms(const struct pump *p)
{
	int64_t left = p->beat_at - now_ms();

	if (p->more_to_reap)
		return 0;
	if (p->exited)
		return drain_left_ms(p);
	return left > 0 ? (int)left : 0;
}

static void step(struct pump *p)
{
	struct pollfd fds[FD_COUNT];

	set_interest(p, fds);
	if (poll(fds, FD_COUNT, patience_ms(p)) < 0)
		return;
	beat(p);
	if (fds[FD_CHILDREN].revents || p->more_to_reap)
		reap(p);
	if (fds[FD_OUT].revents && p->command->out >= 0)
		carry(p, &p->command->out, FRAME_STDOUT);
	if (fds[FD_ERR].revents && p->command->err >= 0)
		carry(p, &p->command->err, FRAME_STDERR);
	if (fds[FD_INPUT].revents)
		write_input(p);
	obey_arrived(p);
	if (fds[FD_PORT].revents & POLLIN)
		hear_host(p);
	else if (fds[FD_PORT].revents & (POLLHUP | POLLERR))
		p->host_gone = true;
	if (frame_queued(p->out) && frame_flush(p->out) == STREAM_GONE)
		p->host_gone = true;
}

enum pump_end pump(struct command *command, struct frame_reader *in, struct frame_writer *out,
		   int children, bool roomy, struct pump_result *result)
{
	struct pump p = {
		.command = command,
		.in = in,
		.out = out,
		.children = children,
		.input_max = roomy ? INPUT_MAX_ROOMY : INPUT_MAX,
		.beat_at = now_ms() + HEARTBEAT_MS,
		.input_pipe = -1,
	};

	obey_arrived(&p);
	while (!p.poweroff && !p.host_gone && !(p.exited && drain_left_ms(&p) == 0))
		step(&p);
	free(p.input.bytes);
	result->status = p.status;
	result->input_read = p.written - unread(p.input_pipe);
	if (p.input_pipe >= 0)
		close(p.input_pipe);
	if (p.host_gone)
		return PUMP_HOST_GONE;
	return p.poweroff ? PUMP_POWEROFF : PUMP_EXITED;
}
