// SPDX-License-Identifier: GPL-2.0-only
#include "counters.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static FILE *open_proc(const char *path)
{
	FILE *file = fopen(path, "re");

	if (!file)
		die("%s", path);
	return file;
}

static bool is_line(const char *line, const char *name)
{
	const char *first = line + strspn(line, " "), *last = strrchr(line, ' ');
	size_t length = strlen(name);

	if (strncmp(first, name, length) == 0 && first[length] == ':')
		return true;
	return last && strncmp(last + 1, name, length) == 0 &&
	       strchr("-\n", last[length + 1]);
}

/* The numbers follow the colon, one for each processor. */
static long add_up(const char *line, int cpu)
{
	const char *at = strchr(line, ':');
	long sum = 0;

	for (int column = 0; at; column++) {
		char *end;
		long value = strtol(at + 1, &end, 10);

		if (end == at + 1 || (*end != ' ' && *end != '\n'))
			break;
		if (cpu < 0 || column == cpu)
			sum += value;
		at = end - (*end == '\n');
		if (*end == '\n')
			break;
	}
	return sum;
}

long interrupts(const char *name, int cpu)
{
	FILE *file = open_proc("/proc/interrupts");
	char *line = NULL;
	size_t size = 0;
	long sum = -1;

	while (getline(&line, &size, file) > 0) {
		if (strchr(line, ':') && is_line(line, name))
			sum = add_up(line, cpu) + (sum < 0 ? 0 : sum);
	}
	free(line);
	fclose(file);
	return sum;
}

long meminfo_kib(const char *name)
{
	FILE *file = open_proc("/proc/meminfo");
	size_t length = strlen(name);
	char line[128];
	long value = -1;

	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			value = atol(line + length + 1);
	}
	fclose(file);
	return value;
}
