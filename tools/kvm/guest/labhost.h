/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lab host's role: the developer's own files as root, and one resident agent.
 * init calls it after mount_system(""), on its only thread.
 */
#ifndef TOOLSKVM_LABHOST_H
#define TOOLSKVM_LABHOST_H

/* Returns when the agent has ended, or after reporting why it could not be started. */
void labhost_serve(void);

/*
 * These run as programs of the agent, and return an exit code. A lab host can be saved as long
 * as nothing of 9p is mounted.
 *
 * Copies files of the developer's machine into this machine's memory: `words` are pairs of a path
 * there and one here; NULL ends them. What exists here is left as it is.
 */
int labhost_fetch(char **words);

/* Inserts modules by their paths here, in that order; NULL ends them. */
int labhost_insert(char **modules);

/*
 * Prepares a lab host, which may have been saved, for its first client: sets the clock, stirs the
 * random numbers, mounts the developer's files, inserts modules, and makes the files the root.
 * `words` are the time in nanoseconds, random bytes in hexadecimal digits, the folder that both
 * sides write, any number of TAG:PATH, and the modules' paths in that order; NULL ends them.
 * Processes that run already enter the new root as "/..".
 */
int labhost_prepare(char **words);

#endif
