// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies lines from stdin to the kernel's log, with one write for each, as /dev/kmsg requires.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exercises.h"
#include "report.h"

void exercise_kmsg(char **argv)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC), lines = 0, refused = 0;
	char line[1024];

	(void)argv;
	if (fd < 0)
		die("/dev/kmsg");
	while (fgets(line, sizeof(line), stdin)) {
		refused += write(fd, line, strlen(line)) != (ssize_t)strlen(line);
		lines++;
	}
	check(refused == 0 && lines > 0, "lines given to the kernel", "%d of %d refused", refused,
	      lines);
}
