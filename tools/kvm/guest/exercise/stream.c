// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stream of bytes in both directions, checked at each end: the client sends the pattern of
 * its seed, and the server checks it and answers; then the server sends the pattern of seed +
 * 1, and the client checks it. So each end knows whether every byte arrived, in its place, and
 * reports it. The server serves one client and ends; guest and host run the same program.
 *
 * A connection may be accepted before the server runs: a port forwarder answers for a guest
 * that is not up yet. So the server greets, and a client without a greeting tries again.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "exercises.h"
#include "pattern.h"
#include "report.h"
#include "timing.h"

enum { CHUNK = 64 * 1024, PATIENCE_S = 120, TURN_US = 20000 };

/* In the machine's byte order: both ends run on one. */
struct order {
	uint64_t magic, seed, bytes;
};

struct answer {
	uint64_t right, bytes;
};

static const uint64_t MAGIC = 0x6d6165727473746bULL;

static char chunk[CHUNK];

static bool send_all(int fd, const void *from, size_t length)
{
	const char *bytes = from;

	while (length > 0) {
		ssize_t done = send(fd, bytes, length, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		length -= done;
	}
	return true;
}

static size_t receive_all(int fd, void *into, size_t length)
{
	size_t got = 0;

	while (got < length) {
		ssize_t done = recv(fd, (char *)into + got, length - got, 0);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			break;
		got += done;
	}
	return got;
}

static void report_rate(const char *what, uint64_t bytes, double seconds)
{
	note("stream %s=%llu seconds=%.3f mib_s=%.1f", what, (unsigned long long)bytes, seconds,
	     bytes / seconds / (1 << 20));
}

/* Sends the pattern, and checks that the other end has confirmed it. */
static void send_pattern(int fd, uint64_t seed, uint64_t bytes, const char *name)
{
	double start = now_s();
	struct answer answer = { 0 };
	bool heard;

	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		pattern_fill(chunk, seed, at, CHUNK);
		if (!send_all(fd, chunk, bytes - at < CHUNK ? bytes - at : CHUNK)) {
			check(false, name, "the stream broke after %llu bytes: %s",
			      (unsigned long long)at, strerror(errno));
			return;
		}
	}
	heard = receive_all(fd, &answer, sizeof(answer)) == sizeof(answer);
	report_rate("sent", bytes, now_s() - start);
	check(heard && answer.right && answer.bytes == bytes, name,
	      "%llu of %llu bytes arrived, the other end %s",
	      (unsigned long long)answer.bytes, (unsigned long long)bytes,
	      !heard ? "said nothing" : answer.right ? "found them right" : "found them wrong");
}

static void receive_pattern(int fd, uint64_t seed, uint64_t bytes, const char *name)
{
	struct answer answer = { .right = 1 };
	double start = now_s();
	char why[160] = "";

	while (answer.bytes < bytes && answer.right) {
		uint64_t left = bytes - answer.bytes;
		size_t length = left < CHUNK ? left : CHUNK, got = receive_all(fd, chunk, length);

		answer.right = got == length && pattern_verify(chunk, seed, answer.bytes, length,
							       why, sizeof(why));
		answer.bytes += got;
	}
	report_rate("received", answer.bytes, now_s() - start);
	send_all(fd, &answer, sizeof(answer));
	check(answer.right && answer.bytes == bytes, name, "%llu of %llu bytes; the last: %s",
	      (unsigned long long)answer.bytes, (unsigned long long)bytes, why);
}

/* True once the server has accepted the order. */
static bool place_order(int fd, const struct order *order)
{
	uint64_t greeting;

	return send_all(fd, order, sizeof(*order)) &&
	       receive_all(fd, &greeting, sizeof(greeting)) == sizeof(greeting) &&
	       greeting == MAGIC;
}

static int connect_to_server(const char *address, const struct order *order)
{
	double left_s = PATIENCE_S;

	for (;;) {
		double began_s = now_s();
		int fd = address_connect(address);

		if (fd >= 0 && place_order(fd, order))
			return fd;
		if (left_s <= 0)
			die("no server at %s", address);
		if (fd >= 0)
			close(fd);
		usleep(TURN_US);
		spend(&left_s, began_s, TURN_US / 1e6);
	}
}

static int accept_client(int server, struct order *order)
{
	for (;;) {
		int fd = accept(server, NULL, NULL);

		if (fd < 0)
			die("accept");
		if (receive_all(fd, order, sizeof(*order)) == sizeof(*order) &&
		    order->magic == MAGIC && send_all(fd, &MAGIC, sizeof(MAGIC)))
			return fd;
		close(fd);
	}
}

/* ADDRESS SEED BYTES */
void exercise_stream(char **argv)
{
	struct order order = { .magic = MAGIC, .seed = strtoull(argv[1], NULL, 0) };
	int fd;

	order.bytes = strtoull(argv[2], NULL, 0) / SECTOR * SECTOR;
	fd = connect_to_server(argv[0], &order);
	send_pattern(fd, order.seed, order.bytes, "what the client sent arrived");
	receive_pattern(fd, order.seed + 1, order.bytes, "what the server sent arrived");
	close(fd);
}

/* ADDRESS */
void exercise_stream_serve(char **argv)
{
	int server = address_listen(argv[0]), fd;
	struct order order;

	fd = accept_client(server, &order);
	close(server);
	receive_pattern(fd, order.seed, order.bytes, "the server got what the client sent");
	send_pattern(fd, order.seed + 1, order.bytes, "the client got what the server sent");
	close(fd);
}
