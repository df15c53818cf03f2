// SPDX-License-Identifier: GPL-2.0-only
/*
 * /init of guests and lab hosts: one static program, the kernel's first process.
 *
 *   toolskvm.role=guest    (default) run one command for the host, then reset
 *   toolskvm.role=labhost  run the resident agent on the developer's own files
 *
 * Whatever happens, the machine ends by a reset: the host waits for that, and a panic of a
 * dying init would hide earlier errors. It writes to the console only when something failed.
 *
 * `init --agent-fd N` serves one session on an inherited stream socket as an ordinary
 * process: no mounts, no reset. Tests and debuggers use this.
 * A lab host's agent runs (labhost.h)
 *     init --fetch FROM TO...
 *     init --insert MODULE...
 *     init --prepare NANOSECONDS HEX SHARE [TAG:PATH]... [MODULE]...
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "labhost.h"
#include "mounts.h"
#include "network.h"
#include "options.h"
#include "port.h"
#include "root.h"
#include "say.h"
#include "shares.h"
#include "wants.h"
#include "writeback.h"

#define PORT_NAME "org.toolskvm.agent"
/* The files belong to the user, who may change them, so only files in use are cached. */
#define ROOT NINE_P ",cache=mmap"

/*
 * The kernel does not open these if there is no console, or not yet: a virtio console appears
 * once a worker thread has the device's answer.
 */
static void guard_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void __attribute__((noreturn)) reset_machine(void)
{
	write_back(agent_beat);
	reboot(RB_AUTOBOOT);
	/* Reached only if the kernel can't reset; if init ended, it would panic. */
	for (;;)
		pause();
}

static void serve_guest(void)
{
	struct port port;
	bool rooted = true;
	char root[64];

	if (!boot_option("toolskvm.root", root, sizeof(root)))
		mount_at("tmpfs", "tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777", true);
	else
		rooted = overlay_root(root, ROOT) && switch_root();
	bring_up_interfaces();
	make_folder("/root");
	if (rooted)
		mount_shares();
	check_wanted_devices();
	if (chdir("/root") < 0)
		say_errno("cannot enter /root");
	if (port_open(&port, PORT_NAME))
		agent_serve(&port, rooted);
	else
		say("no way to the host: neither a virtio port named " PORT_NAME
		    " nor a second serial line (ttyS1)");
}

static int serve_descriptor(const char *number)
{
	struct port port = { .fd = atoi(number), .transport = TRANSPORT_VIRTIO };

	if (fcntl(port.fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(port.fd, F_SETFD, FD_CLOEXEC) < 0) {
		say_errno("--agent-fd %s", number);
		return 2;
	}
	return agent_serve(&port, true);
}

int main(int argc, char **argv)
{
	char role[32] = "guest";

	if (argc == 3 && strcmp(argv[1], "--agent-fd") == 0)
		return serve_descriptor(argv[2]);
	if (argc >= 4 && strcmp(argv[1], "--fetch") == 0)
		return labhost_fetch(argv + 2);
	if (argc >= 3 && strcmp(argv[1], "--insert") == 0)
		return labhost_insert(argv + 2);
	if (argc >= 5 && strcmp(argv[1], "--prepare") == 0)
		return labhost_prepare(argv + 2);
	if (getpid() != 1) {
		say("this is the first process of a test machine; outside one: init --agent-fd N");
		return 2;
	}
	guard_standard_streams();
	umask(022);
	mount_system("");
	bring_up_loopback();
	boot_option("toolskvm.role", role, sizeof(role));
	sethostname(role, strlen(role));
	if (strcmp(role, "guest") == 0)
		serve_guest();
	else if (strcmp(role, "labhost") == 0)
		labhost_serve();
	else
		say("toolskvm.role=%s is neither guest nor labhost", role);
	reset_machine();
}
