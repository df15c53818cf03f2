// SPDX-License-Identifier: GPL-2.0-only
//
// Includes the UAPI of the network device. One of its fields has a name that is a C++ keyword; here
// it is _class. Declarations only.
#pragma once

#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_types.h>

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wkeyword-macro"
#endif
#define class _class
#include <linux/virtio_net.h>
#undef class
#ifdef __clang__
#pragma clang diagnostic pop
#endif
