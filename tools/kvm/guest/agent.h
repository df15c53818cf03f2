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
 * `rooted`: whether what is there is the root that was asked for; no command runs in another.
 * 0 when the command's EXIT was sent or the host said POWEROFF, 1 when the host is gone.
 */
int agent_serve(const struct port *port, bool rooted);

/* Tell the host, if there is one, that this machine still works. */
void agent_beat(void);

#endif
