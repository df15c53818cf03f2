/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lab host's role: the developer's own files as root, and one resident agent.
 * init calls it after mount_system(""), on its only thread.
 */
#ifndef TOOLSKVM_LABHOST_H
#define TOOLSKVM_LABHOST_H

/* Returns when the agent has ended, or after reporting why it could not be started. */
void labhost_serve(void);

#endif
