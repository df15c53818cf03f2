// SPDX-License-Identifier: GPL-2.0-only
#include "port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"
#define DRIVER "/sys/bus/virtio/drivers/virtio_console"

enum { NAME_WAIT_MS = 1000, STEP_MS = 2 };

static bool read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, line, size - 1);
	close(fd);
	if (got < 0)
		return false;
	line[got] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

/* A kernel without devtmpfs only names the device in sysfs, so make the node here. */
static bool have_node(const char *port, char *path, size_t size)
{
	unsigned int major, minor;
	char attribute[300], number[32];

	snprintf(path, size, "/dev/%s", port);
	if (access(path, F_OK) == 0)
		return true;
	snprintf(attribute, sizeof(attribute), PORTS "/%s/dev", port);
	if (!read_line(attribute, number, sizeof(number)))
		return false;
	if (sscanf(number, "%u:%u", &major, &minor) != 2)
		return false;
	return mknod(path, S_IFCHR | 0600, makedev(major, minor)) == 0;
}

static bool find_once(const char *name, char *path, size_t size)
{
	DIR *ports = opendir(PORTS);
	struct dirent *entry;
	bool found = false;

	if (!ports)
		return false;
	while (!found && (entry = readdir(ports))) {
		char attribute[300], seen[128];

		snprintf(attribute, sizeof(attribute), PORTS "/%s/name", entry->d_name);
		if (entry->d_name[0] != '.' && read_line(attribute, seen, sizeof(seen)) &&
		    strcmp(seen, name) == 0)
			found = have_node(entry->d_name, path, size);
	}
	closedir(ports);
	return found;
}

/*
 * Drivers have probed by the time init runs, so a driver with no device bound will
 * get no port later on.
 */
static bool driver_has_device(void)
{
	DIR *driver = opendir(DRIVER);
	struct dirent *entry;
	bool bound = false;

	if (!driver)
		return false;
	while (!bound && (entry = readdir(driver)))
		bound = strncmp(entry->d_name, "virtio", 6) == 0;
	closedir(driver);
	return bound;
}

/* A port's name arrives in a control message, which a worker thread handles after probe. */
bool port_find(const char *name, char *path, size_t size)
{
	int left = driver_has_device() ? NAME_WAIT_MS : 0;

	while (!find_once(name, path, size)) {
		if (left <= 0)
			return false;
		usleep(STEP_MS * 1000);
		left -= STEP_MS;
	}
	return true;
}

/* The 8250 driver makes a node for each line it may have; only a real one has a type. */
static bool open_serial(struct port *port, const char *path)
{
	struct serial_struct line = { .type = PORT_UNKNOWN };
	struct termios mode;
	int lines = 0;
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (ioctl(fd, TIOCGSERIAL, &line) < 0 || line.type == PORT_UNKNOWN ||
	    tcgetattr(fd, &mode) < 0) {
		close(fd);
		return false;
	}
	cfmakeraw(&mode);
	mode.c_cflag |= CLOCAL | CREAD;
	/*
	 * RTS lets a tty with a full buffer stop a sender that supports it. Without CTS from
	 * the other end, enabling flow control would block this end.
	 */
	if (ioctl(fd, TIOCMGET, &lines) == 0 && (lines & TIOCM_CTS))
		mode.c_cflag |= CRTSCTS;
	else
		mode.c_cflag &= ~(tcflag_t)CRTSCTS;
	cfsetspeed(&mode, B115200);
	tcsetattr(fd, TCSANOW, &mode);
	port->fd = fd;
	port->transport = TRANSPORT_SERIAL;
	return true;
}

bool port_open(struct port *port, const char *name)
{
	char path[300];

	if (port_find(name, path, sizeof(path))) {
		port->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		port->transport = TRANSPORT_VIRTIO;
		if (port->fd >= 0)
			return true;
	}
	return open_serial(port, "/dev/ttyS1");
}
