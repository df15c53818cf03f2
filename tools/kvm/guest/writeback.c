// SPDX-License-Identifier: GPL-2.0-only
#include "writeback.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum {
	/* Fewer pages are written in too short a time to need a heartbeat. */
	FEW_PAGES = 1024,
	BEAT_MS = 1000,
	STEP_US = 2000,
};

/* /proc/vmstat; mm/vmstat.c has the names. */
struct pages {
	unsigned long long waiting, written;
};

static unsigned long long counter(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line ? strtoull(line + strlen(name), NULL, 10) : 0;
}

static bool count(struct pages *pages)
{
	static char text[32 * 1024];
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while ((got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)got;
	close(fd);
	text[size] = '\0';
	pages->waiting = counter(text, "\nnr_dirty ") + counter(text, "\nnr_writeback ");
	pages->written = counter(text, "\nnr_written ");
	return size > 0;
}

/* Sends no heartbeat while no page is written, so that the host can detect a hang. */
static void watch(pid_t writer, struct pages seen, void (*beat)(void))
{
	int64_t next = now_ms() + BEAT_MS;
	struct pages now;

	while (waitpid(writer, NULL, WNOHANG) == 0) {
		usleep(STEP_US);
		if (now_ms() < next)
			continue;
		next += BEAT_MS;
		if (!count(&now) || now.written != seen.written)
			beat();
		seen = now;
	}
}

void write_back(void (*beat)(void))
{
	struct pages pages = { 0 };
	pid_t writer = -1;

	if (count(&pages) && pages.waiting >= FEW_PAGES)
		writer = fork();
	if (writer == 0) {
		sync();
		_exit(0);
	}
	if (writer > 0)
		watch(writer, pages, beat);
	else
		sync();
}
