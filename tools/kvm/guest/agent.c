// SPDX-License-Identifier: GPL-2.0-only
#include "agent.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "frames.h"
#include "fresh.h"
#include "pump.h"
#include "say.h"
#include "sysrq.h"
#include "wants.h"

enum {
	RUN_WAIT_MS = 60 * 1000,
	/* The time that the host has to answer EXIT with POWEROFF; a busy host may be slow. */
	ACKNOWLEDGE_MS = 3000,
	/* The limit if the host continues to send input instead. */
	ACKNOWLEDGE_MAX_MS = 6000,
	CONNECT_STEP_US = 500,
};

static bool greeted;
static struct frame_writer writer;
static struct frame_reader reader;

/* The time since the kernel's start; the host knows when it started the machine. */
static unsigned long long uptime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

static void put_hello(enum transport transport)
{
	struct utsname kernel;
	struct sysinfo memory;
	char text[2600];
	int length;

	uname(&kernel);
	sysinfo(&memory);
	length = snprintf(text, sizeof(text),
			  "protocol=1\nrelease=%s\ncpus=%ld\nmem_kib=%llu\nuptime_ns=%llu\n"
			  "transport=%s\nlacking=%s\nmissing=%s\n",
			  kernel.release, sysconf(_SC_NPROCESSORS_ONLN),
			  (unsigned long long)memory.totalram * memory.mem_unit / 1024,
			  uptime_ns(), transport == TRANSPORT_VIRTIO ? "virtio" : "serial",
			  lacking(), missing());
	frame_put_magic(&writer);
	frame_put(&writer, FRAME_HELLO, text, (size_t)length);
}

/* Waits until all queued frames are sent, however long the host takes: deadlines are its task. */
static enum stream_state flush_all(void)
{
	for (;;) {
		struct pollfd port = { .fd = writer.fd, .events = POLLOUT };
		enum stream_state state = frame_flush(&writer);

		if (state != STREAM_AGAIN)
			return state;
		if (poll(&port, 1, -1) > 0 && !(port.revents & POLLOUT))
			return STREAM_GONE;
	}
}

/* A virtio port hangs up while no host has opened it: before HELLO that means "wait". */
static void await_connection(int fd)
{
	for (int waited = 0; waited < RUN_WAIT_MS * 1000; waited += CONNECT_STEP_US) {
		struct pollfd port = { .fd = fd, .events = POLLOUT };

		if (poll(&port, 1, 0) < 0 || !(port.revents & POLLHUP))
			return;
		usleep(CONNECT_STEP_US);
	}
}

/*
 * Gets the next frame from the host, which stays in the reader until popped; STREAM_AGAIN when
 * none comes in time. Frames are small here, so the timeout may restart with each poll.
 */
static enum stream_state next_frame(struct frame *frame, int wait_ms)
{
	for (;;) {
		struct pollfd port = { .fd = reader.fd, .events = POLLIN };
		enum stream_state state = frame_peek(&reader, frame);

		if (state != STREAM_AGAIN)
			return state;
		if (poll(&port, 1, wait_ms) == 0)
			return STREAM_AGAIN;
		if (frame_fill(&reader) == STREAM_GONE)
			return STREAM_GONE;
	}
}

static void put_exit(int code, int number)
{
	uint8_t payload[8];

	put_le32(payload, (uint32_t)code);
	put_le32(payload + 4, (uint32_t)number);
	frame_put(&writer, FRAME_EXIT, payload, sizeof(payload));
}

static void put_input_read(uint64_t bytes)
{
	uint8_t payload[8];

	put_le64(payload, bytes);
	frame_put(&writer, FRAME_STDIN_READ, payload, sizeof(payload));
}

static void put_error(const char *message)
{
	frame_put(&writer, FRAME_ERROR, message, strlen(message));
}

/*
 * A write to a virtio port returns once the buffer is queued, and a reset may overtake it, so
 * give the host some time to confirm EXIT. A serial line can be drained. If we stay, there is no
 * reset, and what comes next is another request.
 */
static void deliver(const struct port *port, bool stay)
{
	struct frame frame;
	int64_t end;

	if (flush_all() != STREAM_OK || stay)
		return;
	if (port->transport == TRANSPORT_SERIAL)
		tcdrain(port->fd);
	end = now_ms() + ACKNOWLEDGE_MAX_MS;
	while (now_ms() < end && next_frame(&frame, ACKNOWLEDGE_MS) == STREAM_OK &&
	       frame.type != FRAME_POWEROFF)
		frame_pop(&reader, &frame);
}

static void refuse(const struct request *request, int error)
{
	char line[4500];

	if (request->tty && access("/dev/ptmx", R_OK | W_OK) != 0) {
		put_error("no terminal: the guest kernel has no ptys (CONFIG_UNIX98_PTYS)");
		put_exit(126, 0);
		return;
	}
	command_explain(line, sizeof(line), request, error);
	frame_put(&writer, FRAME_STDERR, line, strlen(line));
	put_exit(command_refusal_code(error), 0);
}

/* A lab host has its own /tmp and other folders, so a missing one is only reported. */
static void enter(const char *folder)
{
	char line[4500], here[PATH_MAX] = "";

	if (!folder || chdir(folder) == 0)
		return;
	snprintf(line, sizeof(line), "toolskvm: cannot enter %.4000s: %s; starting in %.200s\n", folder,
		 strerror(errno), getcwd(here, sizeof(here)) ? here : "another folder");
	frame_put(&writer, FRAME_STDERR, line, strlen(line));
}

/* What comes after a request: another one, or init's end with this result. */
enum course { DONE = 0, FAILED = 1, NEXT };

static enum course run(const struct port *port, const struct request *request, int children)
{
	struct command command;
	struct pump_result result;
	enum pump_end end;
	int error;

	enter(request_folder(request));
	error = command_start(&command, request);
	if (error) {
		refuse(request, error);
		deliver(port, request->stay);
		return request->stay ? NEXT : DONE;
	}
	end = pump(&command, &reader, &writer, children,
		   port->transport == TRANSPORT_SERIAL, &result);
	if (end != PUMP_EXITED) {
		kill(-command.pid, SIGKILL);
		return end == PUMP_HOST_GONE ? FAILED : DONE;
	}
	/* The pump may leave the writer full of frames; EXIT needs room. */
	flush_all();
	if (request->count_input && !request->tty)
		put_input_read(result.input_read);
	if (WIFSIGNALED(result.status))
		put_exit(128 + WTERMSIG(result.status), WTERMSIG(result.status));
	else
		put_exit(WEXITSTATUS(result.status), 0);
	deliver(port, request->stay);
	return request->stay ? NEXT : DONE;
}

static int watch_children(void)
{
	sigset_t ended;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	return signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* HELLO has reported the reason. */
static enum course run_nothing(const struct port *port)
{
	put_exit(command_refusal_code(EACCES), 0);
	deliver(port, false);
	return DONE;
}

static enum course run_requested(const struct port *port, const struct frame *frame, int children)
{
	struct request request;
	bool valid = request_parse(&request, frame);
	enum course result;

	frame_pop(&reader, frame);
	if (!valid) {
		put_error("the RUN frame is malformed: the worker and this init differ in version");
		deliver(port, false);
		return FAILED;
	}
	result = run(port, &request, children);
	request_free(&request);
	return result;
}

void agent_beat(void)
{
	if (greeted && !frame_queued(&writer))
		frame_put(&writer, FRAME_HEARTBEAT, "", 0);
	if (greeted)
		frame_flush(&writer);
}

/* The host says that we go on from a saved machine: u64le nanoseconds, then random bytes. */
static void freshen(const struct frame *frame)
{
	if (frame->length <= sizeof(uint64_t))
		return;
	set_clock((int64_t)get_le64(frame->payload));
	stir_random_numbers(frame->payload + sizeof(uint64_t), frame->length - sizeof(uint64_t));
}

int agent_serve(const struct port *port, bool rooted)
{
	int children = watch_children(), wait_ms = RUN_WAIT_MS;
	enum course course = NEXT;
	struct frame frame;

	signal(SIGPIPE, SIG_IGN);
	writer.fd = reader.fd = port->fd;
	if (port->transport == TRANSPORT_VIRTIO)
		await_connection(port->fd);
	put_hello(port->transport);
	if (flush_all() != STREAM_OK)
		return 1;
	greeted = true;
	while (next_frame(&frame, wait_ms) == STREAM_OK) {
		if (frame.type == FRAME_POWEROFF)
			return 0;
		if (frame.type == FRAME_RUN) {
			course = rooted ? run_requested(port, &frame, children) : run_nothing(port);
			if (course != NEXT)
				return course;
			/* However long the host takes: it knows that no command runs. */
			wait_ms = -1;
			continue;
		}
		if (frame.type == FRAME_FRESH)
			freshen(&frame);
		else if (frame.type == FRAME_SYSRQ)
			sysrq(&frame);
		frame_pop(&reader, &frame);
	}
	if (wait_ms >= 0)
		say("the host sent no command");
	return 1;
}
