/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of print() that report.c puts together differently. */
#pragma once

#include <stdarg.h>

void print_lock(void);
void print_unlock(void);
void print_arguments(const char *format, va_list *arguments);
