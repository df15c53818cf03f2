/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID leaves, and the instructions whose presence they announce.
 */
#ifndef TOOLSKVM_EXERCISE_FEATURES_H
#define TOOLSKVM_EXERCISE_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

struct leaf {
	uint32_t function, index, eax, ebx, ecx, edx;
};

struct leaf leaf_of(uint32_t function, uint32_t index);
bool vendor_is(const char *name);

/*
 * Executes each announced instruction and compares its result; checks that KVM's usual
 * features are there.
 */
void check_features(void);

#endif
