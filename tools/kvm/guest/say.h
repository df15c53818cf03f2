/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one way this program speaks to a human: a line on the console, prefixed
 * "toolskvm:". Used when something failed and by nothing else, so that a normal
 * boot writes no byte there. Called from init's only thread.
 */
#ifndef TOOLSKVM_SAY_H
#define TOOLSKVM_SAY_H

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As say(), followed by what errno means. */
void say_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
