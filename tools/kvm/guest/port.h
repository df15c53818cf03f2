/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The byte stream to the host of this machine: a named virtio-serial port or the second serial
 * line. Opened once by the agent (guests) or passed on by path (lab hosts); not closed before
 * the machine ends. One thread.
 */
#ifndef TOOLSKVM_PORT_H
#define TOOLSKVM_PORT_H

#include <stdbool.h>
#include <stddef.h>

enum transport { TRANSPORT_VIRTIO, TRANSPORT_SERIAL };

struct port {
	int fd;		/* non-blocking */
	enum transport transport;
};

/* Finds the device path of the virtio port called `name`. */
bool port_find(const char *name, char *path, size_t size);

/* Opens the virtio port of that name if there is one, else the second serial line. */
bool port_open(struct port *port, const char *name);

#endif
