// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool boot_option(const char *name, char *value, size_t size)
{
	size_t length = strlen(name);
	char line[4096], *rest = line, *word;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	bool found = false;

	if (fd >= 0)
		close(fd);
	line[got > 0 ? got : 0] = '\0';
	while ((word = strsep(&rest, " \n"))) {
		if (strncmp(word, name, length) == 0 && word[length] == '=') {
			snprintf(value, size, "%s", word + length + 1);
			found = true;	/* the last one counts, as for the kernel */
		}
	}
	return found;
}
