/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * This program's only messages for people: lines on the console, prefixed "toolskvm:". Used
 * only when something failed, so that a normal boot writes nothing there. Called from init's
 * only thread.
 */
#ifndef TOOLSKVM_SAY_H
#define TOOLSKVM_SAY_H

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Like say(), followed by the text of errno. */
void say_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
