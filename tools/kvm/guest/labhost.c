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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign.h"
#include "fresh.h"
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
#define RESOLV_CONF "/etc/resolv.conf"

enum { SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC };
enum { MAY_RUN = MS_NOSUID | MS_NODEV };	/* the user's scripts */
enum { CONSOLE_WAIT_MS = 500, CONSOLE_STEP_MS = 2 };
enum { COPY_BYTES = 1 << 20 };
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

/* Mounts TAG:PATH, a 9p export and its mount point in the new root, which may lie in MOUNTS. */
static bool mount_export(const char *words)
{
	char tag[64], target[PATH_MAX + sizeof(NEW_ROOT)];
	const char *path = strchr(words, ':');

	if (!path || path[1] != '/' || (size_t)(path - words) >= sizeof(tag)) {
		say("%s is no TAG:PATH", words);
		return false;
	}
	snprintf(tag, sizeof(tag), "%.*s", (int)(path - words), words);
	snprintf(target, sizeof(target), NEW_ROOT "%s", path + 1);
	return mount_at("9p", tag, target, MAY_RUN, SHARE, false) && hide_kernel(target);
}

/* Copies all of an open file; blocks of zeroes become holes, as in the image of a disk. */
static bool copy_content(int source, int target)
{
	static char block[COPY_BYTES], zeroes[COPY_BYTES];
	off_t end = 0;
	ssize_t size;

	while ((size = read(source, block, sizeof(block))) > 0) {
		bool empty = memcmp(block, zeroes, (size_t)size) == 0;

		if (!empty && pwrite(target, block, (size_t)size, end) != size)
			return false;
		end += size;
	}
	return size == 0 && ftruncate(target, end) == 0;
}

/* Copies a file's content to a new file, in folders that exist. */
static bool copy_file(const char *from, const char *to, mode_t mode)
{
	int source = open(from, O_RDONLY | O_CLOEXEC), target = -1;
	bool done;

	if (source >= 0)
		target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	done = target >= 0 && copy_content(source, target);
	if (!done)
		say_errno("cannot copy %s to %s", from, to);
	if (source >= 0)
		close(source);
	if (target >= 0)
		close(target);
	return done;
}

int labhost_fetch(char **words)
{
	static const char lower[] = "/lower";
	bool done = mount_at("9p", "root", lower, MS_RDONLY, SHARE, false);
	char from[PATH_MAX + sizeof(lower)], folder[PATH_MAX];

	for (; done && words[0] && words[1]; words += 2) {
		char *name = strrchr(words[1], '/');

		if (access(words[1], F_OK) == 0)
			continue;	/* it may be in use */
		snprintf(from, sizeof(from), "%s%s", lower, words[0]);
		snprintf(folder, sizeof(folder), "%.*s", name ? (int)(name - words[1]) : 0, words[1]);
		if (folder[0])
			make_folder(folder);
		done = copy_file(from, words[1], 0755);
	}
	/* It can't be saved with this mounted. */
	if (umount(lower) < 0 && done) {
		say_errno("cannot unmount %s", lower);
		done = false;
	}
	return done ? 0 : 1;
}

/* A saved lab host has the time, and the random numbers to come, of the moment it was saved. */
static bool freshen(const char *nanoseconds, const char *hex)
{
	uint8_t bytes[FRESH_BYTES_MAX];
	size_t count = 0;

	for (; count < sizeof(bytes) && hex[0] && hex[1]; hex += 2) {
		char byte[] = { hex[0], hex[1], '\0' };

		bytes[count++] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return set_clock(strtoll(nanoseconds, NULL, 10)) && stir_random_numbers(bytes, count);
}

/* Whether this machine's processor has a feature, by its name in /proc/cpuinfo. */
static bool processor_has(const char *feature)
{
	char *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file && !found && getline(&line, &room, file) > 0)
		if (strncmp(line, "flags", strlen("flags")) == 0)
			for (char *rest = line, *word; !found && (word = strsep(&rest, " \n"));)
				found = strcmp(word, feature) == 0;
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* Inserts a kernel module, but KVM's for a processor only if that can do it. */
static bool insert_module(const char *root, const char *path)
{
	static const struct { const char *name, *feature; } vendors[] = {
		{ "/kvm-amd.ko", "svm" }, { "/kvm-intel.ko", "vmx" },
	};
	char file[PATH_MAX + sizeof(NEW_ROOT)];
	const char *name = strrchr(path, '/');
	bool done;
	int fd;

	for (size_t i = 0; name && i < sizeof(vendors) / sizeof(vendors[0]); i++)
		if (strcmp(name, vendors[i].name) == 0 && !processor_has(vendors[i].feature))
			return true;
	snprintf(file, sizeof(file), "%s%s", root, path);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	/* One that is there was inserted by an attempt that failed at a later one. */
	done = fd >= 0 && (syscall(SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST);
	if (!done)
		say_errno("cannot insert %s", path);
	if (fd >= 0)
		close(fd);
	return done;
}

int labhost_insert(char **modules)
{
	for (; *modules; modules++)
		if (!insert_module("", *modules))
			return 1;
	return 0;
}

/*
 * /tmp remains part of the overlay: it is as writable as a tmpfs, and a checkout or a virtual
 * environment there stays visible.
 */
int labhost_prepare(char **words)
{
	const char *share = words[2];
	char **exports = words + 3, target[PATH_MAX + sizeof(NEW_ROOT)];

	if (!freshen(words[0], words[1]) || !overlay_root("root", ROOT) ||
	    !mount_at("tmpfs", "tmpfs", NEW_ROOT MOUNTS, SAFE, "mode=0700", false))
		return 1;
	for (; *exports && **exports != '/'; exports++)
		if (!mount_export(*exports))
			return 1;
	if (share[0] != '/') {
		say("%s is not an absolute path", share);
		return 1;
	}
	snprintf(target, sizeof(target), NEW_ROOT "%s", share);
	if (!mount_at("9p", "share", target, 0, SHARE, false))
		return 1;
	/* The name server was written before there was this root. */
	unlink(NEW_ROOT RESOLV_CONF);
	if (access(RESOLV_CONF, F_OK) == 0 && !copy_file(RESOLV_CONF, NEW_ROOT RESOLV_CONF, 0644))
		return 1;
	for (char **modules = exports; *modules; modules++)
		if (!insert_module(NEW_ROOT, *modules))
			return 1;
	if (chdir(NEW_ROOT) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0)
		return 0;
	say_errno("cannot make " NEW_ROOT " the root");
	return 1;
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
	if (!read_argv())
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
