// SPDX-License-Identifier: GPL-2.0-only
//
// Includes the UAPI's layout of a split ring. The header's helpers for legacy layouts are not valid
// C++, so they are left out here, in one place. Declarations only.
#pragma once

#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY
#endif
#include <linux/virtio_ring.h>
