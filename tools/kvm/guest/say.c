// SPDX-License-Identifier: GPL-2.0-only
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 400 };

/*
 * A kernel with only an early console has no tty behind /dev/console. Messages to kmsg at
 * level "error" reach every console, even with `quiet`. One write is one record; dprintf()
 * would seek first, which kmsg refuses.
 */
static void deliver(const char *words)
{
	static const char level[] = "<3>";
	char line[LINE_MAX_BYTES + 32];
	int length = snprintf(line, sizeof(line), "%stoolskvm: %s\n", level, words);
	int kmsg = -1;

	if (getpid() == 1 && !isatty(STDERR_FILENO))
		kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (kmsg >= 0) {
		if (write(kmsg, line, (size_t)length) == length) {
			close(kmsg);
			return;
		}
		close(kmsg);
	}
	dprintf(STDERR_FILENO, "%s", line + strlen(level));
}

void say(const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list words;

	va_start(words, format);
	vsnprintf(line, sizeof(line), format, words);
	va_end(words);
	deliver(line);
}

void say_errno(const char *format, ...)
{
	const char *meaning = strerror(errno);
	char what[300], line[LINE_MAX_BYTES];
	va_list words;

	va_start(words, format);
	vsnprintf(what, sizeof(what), format, words);
	va_end(words);
	snprintf(line, sizeof(line), "%s: %s", what, meaning);
	deliver(line);
}
