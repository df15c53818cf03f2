// SPDX-License-Identifier: GPL-2.0-only
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "report.h"

struct place {
	union {
		struct sockaddr any;
		struct sockaddr_in tcp;
		struct sockaddr_vm vsock;
		struct sockaddr_un local;
	} address;
	socklen_t length;
	unsigned int guest_port;	/* requested from the VMM, when not 0 */
};

/* Cuts "WHERE:PORT" in two. */
static unsigned int split_port(char *text)
{
	char *colon = strrchr(text, ':');

	if (!colon) {
		errno = EINVAL;
		die("%s has no port", text);
	}
	*colon = '\0';
	return strtoul(colon + 1, NULL, 10);
}

static void place_tcp(struct place *place, char *text)
{
	struct sockaddr_in *tcp = &place->address.tcp;

	tcp->sin_family = AF_INET;
	tcp->sin_port = htons(split_port(text));
	if (inet_pton(AF_INET, text, &tcp->sin_addr) != 1) {
		errno = EINVAL;
		die("%s", text);
	}
	place->length = sizeof(*tcp);
}

static void place_vsock(struct place *place, char *text)
{
	struct sockaddr_vm *vsock = &place->address.vsock;
	unsigned int cid;

	vsock->svm_family = AF_VSOCK;
	vsock->svm_port = split_port(text);
	cid = strtoul(text, NULL, 10);
	vsock->svm_cid = cid ? cid : VMADDR_CID_ANY;
	place->length = sizeof(*vsock);
}

static void place_unix(struct place *place, const char *path)
{
	struct sockaddr_un *local = &place->address.local;

	local->sun_family = AF_UNIX;
	snprintf(local->sun_path, sizeof(local->sun_path), "%s", path);
	place->length = sizeof(*local);
}

static struct place parse(const char *word)
{
	char text[256], *kind = text, *rest;
	struct place place = { 0 };

	snprintf(text, sizeof(text), "%s", word);
	rest = strchr(text, ':');
	if (rest)
		*rest++ = '\0';
	if (rest && strcmp(kind, "tcp") == 0) {
		place_tcp(&place, rest);
	} else if (rest && strcmp(kind, "vsock") == 0) {
		place_vsock(&place, rest);
	} else if (rest && strcmp(kind, "unix") == 0) {
		place_unix(&place, rest);
	} else if (rest && strcmp(kind, "connect") == 0) {
		place.guest_port = split_port(rest);
		place_unix(&place, rest);
	} else {
		errno = EINVAL;
		die("%s", word);
	}
	return place;
}

int address_listen(const char *word)
{
	struct place place = parse(word);
	int yes = 1, fd = socket(place.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket for %s", word);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (place.address.any.sa_family == AF_UNIX)
		unlink(place.address.local.sun_path);
	if (bind(fd, &place.address.any, place.length) < 0 || listen(fd, 16) < 0)
		die("listening at %s", word);
	return fd;
}

/* Sends the request that the VMM's socket expects, and reads its answer "OK PORT\n". */
static bool ask_for_guest(int fd, unsigned int port)
{
	char line[32], answer[32];
	size_t got = 0;
	int length = snprintf(line, sizeof(line), "CONNECT %u\n", port);

	if (send(fd, line, length, MSG_NOSIGNAL) != length)
		return false;
	while (got < sizeof(answer) && recv(fd, answer + got, 1, 0) == 1) {
		if (answer[got++] == '\n')
			return strncmp(answer, "OK ", 3) == 0;
	}
	return false;
}

int address_connect(const char *word)
{
	struct place place = parse(word);
	int fd = socket(place.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		die("socket for %s", word);
	if (connect(fd, &place.address.any, place.length) == 0) {
		if (!place.guest_port || ask_for_guest(fd, place.guest_port))
			return fd;
		errno = ECONNREFUSED;
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}
