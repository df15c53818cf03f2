// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends a datagram from each of many ports to one address, which makes as many flows on a user
 * network. Whether any arrives is not checked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exercises.h"
#include "report.h"

enum { FIRST_PORT = 10000 };

/* argv: the address and port to send to, and how many. */
void exercise_flows(char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
	int count = atoi(argv[2]), sent = 0;

	if (inet_pton(AF_INET, argv[0], &to.sin_addr) != 1) {
		errno = EINVAL;
		die("%s", argv[0]);
	}
	for (int i = 0; i < count; i++) {
		struct sockaddr_in from = { .sin_family = AF_INET,
					    .sin_port = htons(FIRST_PORT + i) };
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
			die("a socket for port %d", FIRST_PORT + i);
		sent += sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1;
		close(fd);
	}
	check(sent == count, "flows", "%d of %d datagrams were sent", sent, count);
}
