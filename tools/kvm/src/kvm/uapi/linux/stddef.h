// SPDX-License-Identifier: GPL-2.0-only
//
// Found before the UAPI's own <linux/stddef.h>, whose flexible arrays are wrong in C++ up to Linux
// 6.5: they begin with an empty struct, which has a size there. What ends in one (kvm_cpuid2) grows,
// and with it the number of each ioctl that is made from its size.
#pragma once

#include_next <linux/stddef.h>

#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[0]
