// SPDX-License-Identifier: GPL-2.0-only
#include "labhost.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign.h"
#include "mounts.h"
#include "network.h"
#include "options.h"
#include "port.h"
#include "root.h"
#include "say.h"

#define ARGV_FILE "/agent.argv"
#define PORT_NAME "org.toolskvm.lab"

/* Not cached, for folders that both sides write: reads see the present content. */
#define SHARE NINE_P ",cache=none"
/* Cached for ever, for programs and builds, which get new names when they change. */
#define ROOT NINE_P ",cache=loose"
/* A folder in every procfs that is free for mounts: procfs itself has no folders there. */
#define MOUNTS "/proc/fs"

enum { SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC };
enum { MAY_RUN = MS_NOSUID | MS_NODEV };	/* the user's scripts */
enum { CONSOLE_WAIT_MS = 500, CONSOLE_STEP_MS = 2 };
enum { ARGV_BYTES = 16 * 1024, ARGV_WORDS = 256 };

static char argv_bytes[ARGV_BYTES];
static char *agent_argv[ARGV_WORDS + 1];

static bool read_argv(void)
{
	int fd = open(ARGV_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, argv_bytes, sizeof(argv_bytes) - 1);
	int words = 0;

	if (fd >= 0)
		close(fd);
	for (ssize_t at = 0; at < size && words < ARGV_WORDS; words++) {
		agent_argv[words] = argv_bytes + at;
		at += (ssize_t)strlen(argv_bytes + at) + 1;
	}
	if (words == 0)
		say("the initramfs has no agent to run in " ARGV_FILE);
	return words > 0;
}

/*
 * An export of the developer's root includes the file systems that expose that machine's
 * kernel, which 9p does not distinguish from files. This machine mounts its own over them, and
 * the VMM lets no guest into those.
 */
static bool hide_kernel(const char *export)
{
	static const struct { const char *type, *name; } hidden[] = {
		{ "proc", "proc" }, { "sysfs", "sys" }, { "devpts", "dev/pts" },
	};
	char path[PATH_MAX + sizeof(NEW_ROOT) + 16];

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", export, hidden[i].name);
		if (access(path, F_OK) == 0 &&
		    !mount_at(hidden[i].type, hidden[i].type, path, SAFE, NULL, false))
			return false;
	}
	return true;
}

/* Mounts a list of TAG:PATH, each a 9p export and its mount point, which may lie in MOUNTS. */
static bool mount_exports(void)
{
	char list[1024], target[PATH_MAX + sizeof(NEW_ROOT)], *rest = list, *tag;

	if (!boot_option("toolskvm.mounts", list, sizeof(list)))
		return true;
	if (!mount_at("tmpfs", "tmpfs", NEW_ROOT MOUNTS, SAFE, "mode=0700", false))
		return false;
	while ((tag = strsep(&rest, ","))) {
		char *path = strchr(tag, ':');

		if (!path || path[1] != '/') {
			say("toolskvm.mounts has no absolute path in %s", tag);
			return false;
		}
		*path++ = '\0';
		snprintf(target, sizeof(target), NEW_ROOT "%s", path);
		if (!mount_at("9p", tag, target, MAY_RUN, SHARE, false) || !hide_kernel(target))
			return false;
	}
	return true;
}

/*
 * /tmp remains part of the overlay: it is as writable as a tmpfs, and a checkout or a virtual
 * environment there stays visible.
 */
static bool assemble_root(void)
{
	char share[PATH_MAX], target[PATH_MAX + sizeof(NEW_ROOT)];

	if (!overlay_root("root", ROOT) || !mount_exports())
		return false;
	if (!boot_option("toolskvm.share", share, sizeof(share)))
		return true;
	if (share[0] != '/') {
		say("toolskvm.share=%s is not an absolute path", share);
		return false;
	}
	snprintf(target, sizeof(target), NEW_ROOT "%s", share);
	return mount_at("9p", "share", target, 0, SHARE, false);
}

static void set_environment(void)
{
	char port[300];

	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LANG", "C.UTF-8", 1);
	setenv("TERM", "linux", 1);
	/* The overlay would keep bytecode files in memory, where they would become stale. */
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	if (port_find(PORT_NAME, port, sizeof(port)))
		setenv("TOOLSKVM_PORT", port, 1);
	else
		say("there is no virtio port named " PORT_NAME);
}

/*
 * The agent's messages go to the console. A virtio console may have appeared only after the
 * kernel started init, which then got none: try again for a while.
 */
static void take_console(void)
{
	for (int waited = 0; waited < CONSOLE_WAIT_MS && !isatty(STDERR_FILENO);
	     waited += CONSOLE_STEP_MS) {
		int console = open("/dev/console", O_RDWR | O_NOCTTY);

		if (console < 0) {
			usleep(CONSOLE_STEP_MS * 1000);
			continue;
		}
		for (int stream = 0; stream <= STDERR_FILENO; stream++)
			dup2(console, stream);
		if (console > STDERR_FILENO)
			close(console);
		return;
	}
}

static pid_t start_agent(void)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	setsid();
	execvp(agent_argv[0], agent_argv);
	say_errno("cannot run %s", agent_argv[0]);
	_exit(errno == ENOENT ? 127 : 126);
}

/* Returns the agent's exit code; meanwhile reaps its orphans. */
static int await_agent(pid_t agent)
{
	for (;;) {
		int status;
		pid_t ended = waitpid(-1, &status, 0);

		if (ended < 0 && errno == ECHILD)
			return -1;
		if (ended == agent)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

void labhost_serve(void)
{
	pid_t agent;

	assign_functions();
	if (!read_argv() || !assemble_root() || !switch_root())
		return;
	take_console();
	bring_up_interfaces();
	set_environment();
	agent = start_agent();
	if (agent < 0)
		say_errno("cannot fork");
	else
		say("agent exited with %d", await_agent(agent));
}
