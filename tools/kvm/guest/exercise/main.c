// SPDX-License-Identifier: GPL-2.0-only
/*
 * `exercise NAME WORDS...`: makes a guest's devices and processors work, and checks what they
 * did. The workloads of the test matrix put it into guests; it also runs on any machine, as
 * far as its devices go.
 *
 * The work is done in a child. A device that never answers leaves its caller asleep for ever,
 * in a sleep that no signal ends; the parent then reports that, and where the child sleeps.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exercises.h"
#include "report.h"
#include "timing.h"

enum { PATIENCE_S = 40, TURN_US = 2000 };

static const struct exercise {
	const char *name, *words;
	int argc;
	void (*run)(char **argv);
} exercises[] = {
	{ "smp", "CPUS", 1, exercise_smp },
	{ "memory", "PERCENT", 1, exercise_memory },
	{ "clock", "SECONDS", 1, exercise_clock },
	{ "cpuid", "CPUS", 1, exercise_cpuid },
	{ "fill", "DEVICE SEED OFFSET LENGTH REQUEST", 5, exercise_fill },
	{ "verify", "DEVICE SEED OFFSET LENGTH REQUEST", 5, exercise_verify },
	{ "writers", "DEVICE SEED LENGTH", 3, exercise_writers },
	{ "zero", "DEVICE OFFSET LENGTH", 3, exercise_zero },
	{ "discard", "DEVICE OFFSET LENGTH", 3, exercise_discard },
	{ "zeroes", "DEVICE OFFSET LENGTH", 3, exercise_zeroes },
	{ "reads", "DEVICE SEED LENGTH SECONDS INTERRUPT", 5, exercise_reads },
	{ "rate", "DEVICE REQUEST SECONDS sequential|random DEPTH", 5, exercise_rate },
	{ "files-write", "FOLDER SEED COUNT", 3, exercise_files_write },
	{ "files-verify", "FOLDER SEED COUNT", 3, exercise_files_verify },
	{ "stream", "ADDRESS SEED BYTES", 3, exercise_stream },
	{ "stream-serve", "ADDRESS", 1, exercise_stream_serve },
	{ "flows", "ADDRESS PORT COUNT", 3, exercise_flows },
	{ "hwrng", "KIB", 1, exercise_hwrng },
	{ "kmsg", "", 0, exercise_kmsg },
	{ "leak", "DEVICE ROUNDS", 2, exercise_leak },
	{ "hostile", "DEVICE", 1, exercise_hostile },
	{ "screen", "WIDTH HEIGHT", 2, exercise_screen },
};

static void usage(void)
{
	fprintf(stderr, "usage: exercise NAME WORDS...\n");
	for (size_t i = 0; i < COUNT(exercises); i++)
		fprintf(stderr, "  %s %s\n", exercises[i].name, exercises[i].words);
}

/* Prints the kernel function in which a process sleeps, as evidence. */
static void print_whereabouts(pid_t pid)
{
	char path[64], line[256];
	FILE *file;

	for (int which = 0; which < 2; which++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, which ? "stack" : "wchan");
		file = fopen(path, "r");
		if (!file)
			continue;
		while (fgets(line, sizeof(line), file)) {
			line[strcspn(line, "\n")] = '\0';
			note("%s: %s", which ? "stack" : "asleep in", line);
		}
		fclose(file);
	}
}

/* The child's exit code, or -1 when it did not end in time. */
static int await_child(pid_t pid, int seconds)
{
	double left_s = seconds;
	int status;

	while (left_s > 0) {
		double began_s = now_s();
		pid_t ended = waitpid(pid, &status, WNOHANG);

		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		usleep(TURN_US);
		spend(&left_s, began_s, TURN_US / 1e6);
	}
	return -1;
}

static int run_guarded(const struct exercise *exercise, char **argv)
{
	const char *patience = getenv("EXERCISE_PATIENCE_S");
	int seconds = patience ? atoi(patience) : PATIENCE_S, code;
	pid_t pid;

	report_begin();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		exercise->run(argv);
		report_end();
		_Exit(0);
	}
	code = await_child(pid, seconds);
	if (code >= 0)
		return code;
	print_whereabouts(pid);
	check(false, exercise->name, "not done after %d s", seconds);
	kill(pid, SIGKILL);
	return 0;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < COUNT(exercises); i++) {
		if (argc == exercises[i].argc + 2 && strcmp(argv[1], exercises[i].name) == 0)
			return run_guarded(&exercises[i], argv + 2);
	}
	usage();
	return 2;
}
