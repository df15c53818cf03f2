/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The results of an exercise, as KTAP on stdout: a comment with the figures, then "ok" or "not
 * ok". The plan comes last, so a report without it is incomplete. Any thread.
 */
#ifndef TOOLSKVM_EXERCISE_REPORT_H
#define TOOLSKVM_EXERCISE_REPORT_H

#include <stdbool.h>

#define PRINTF(at, first) __attribute__((format(printf, at, first)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reports one result; the text gives the observed and the expected values. Returns ok. */
bool check(bool ok, const char *name, const char *format, ...) PRINTF(3, 4);

/* Prints a separate line with figures for the caller of the exercise. */
void note(const char *format, ...) PRINTF(1, 2);

/* Prints a fatal error with errno to stderr, and ends the program. */
void __attribute__((noreturn)) die(const char *format, ...) PRINTF(1, 2);

void report_begin(void);
void report_end(void);

#endif
