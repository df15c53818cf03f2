/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an exercise found, as KTAP on stdout: a comment with the figures, then "ok" or
 * "not ok". The plan comes last, so a report without it is one that broke off. Any thread.
 */
#ifndef TOOLSKVM_EXERCISE_REPORT_H
#define TOOLSKVM_EXERCISE_REPORT_H

#include <stdbool.h>

#define PRINTF(at, first) __attribute__((format(printf, at, first)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One result; the text tells what was seen and what should have been. Returns ok. */
bool check(bool ok, const char *name, const char *format, ...) PRINTF(3, 4);

/* A line of its own: figures that the caller of the exercise reads. */
void note(const char *format, ...) PRINTF(1, 2);

/* What makes it pointless to go on, with errno: to stderr, and the end. */
void __attribute__((noreturn)) die(const char *format, ...) PRINTF(1, 2);

void report_begin(void);
void report_end(void);

#endif
