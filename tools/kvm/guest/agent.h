/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's side of one session: HELLO, one RUN, its streams, EXIT. init calls it
 * once, on its only thread; when it returns the machine ends.
 */
#ifndef TOOLSKVM_AGENT_H
#define TOOLSKVM_AGENT_H

#include <stdbool.h>

#include "port.h"

/*
 * `rooted`: whether the present root is the requested one; otherwise no command runs. Returns
 * 0 when the command's EXIT was sent or the host sent POWEROFF, 1 when the host has gone.
 */
int agent_serve(const struct port *port, bool rooted);

/* Send a heartbeat to the host, if there is one. */
void agent_beat(void);

#endif
