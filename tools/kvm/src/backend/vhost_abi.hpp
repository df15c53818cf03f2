// SPDX-License-Identifier: GPL-2.0-only
//
// Includes the UAPI of vhost. That includes <linux/virtio_ring.h>, whose helpers for legacy layouts
// are not valid C++ and are left out here. Declarations only.
#pragma once

#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY
#endif
#include <linux/vhost.h>
