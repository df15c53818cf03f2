// SPDX-License-Identifier: GPL-2.0-only
//
// The complete state of a virtqueue of either kind, as a plain value: the driver's set-up and the
// device's positions. A transport fills in the set-up, a Queue continues from it, and a snapshot
// keeps it. The positions of the two kinds differ: see their comments.
#pragma once

#include <cstdint>

#include "memory/guest_address.hpp"

namespace vmm::virtio {

struct QueueState {
  uint16_t size = 0;
  memory::GuestAddress descriptors;  // the table; a packed queue's ring
  memory::GuestAddress available;    // the available ring; the driver's event suppression
  memory::GuestAddress used;         // the used ring; the device's event suppression
  bool packed = false;               // VIRTIO_F_RING_PACKED was negotiated
  bool indirect = false;             // VIRTIO_RING_F_INDIRECT_DESC was negotiated
  bool event_index = false;          // VIRTIO_RING_F_EVENT_IDX was negotiated

  // Split: free-running indices. Packed: slots of the ring, with the wrap counters below;
  // signalled_used is then relative to the lap of next_used, so it may be "negative".
  uint16_t next_available = 0;  // the next available entry to take
  uint16_t next_used = 0;       // the next used entry to fill
  uint16_t signalled_used = 0;  // next_used when the driver was last interrupted
  bool available_wrap = true;   // packed only (virtio 1.2, 2.8.1)
  bool used_wrap = true;

  bool operator==(const QueueState&) const = default;
};

}  // namespace vmm::virtio
