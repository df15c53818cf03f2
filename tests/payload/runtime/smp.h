/* SPDX-License-Identifier: GPL-2.0-only */
/* The other processors: started once, each then runs what it is given, with interrupts on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Starts them all; how many came. */
unsigned start_others(void);

/* The runtime's number of the processor that calls: 0 is the first. */
unsigned processor(void);
