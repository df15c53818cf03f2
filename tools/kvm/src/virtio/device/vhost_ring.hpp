// SPDX-License-Identifier: GPL-2.0-only
//
// Describes a queue for vhost. Used by the devices of this folder that vhost serves.
#pragma once

#include <cassert>

#include "backend/vhost.hpp"
#include "virtio/queue/state.hpp"

namespace vmm::virtio {

inline backend::VhostRing vhost_ring(const QueueState& state) {
  assert(!state.packed);  // machine/ offers no packed rings with vhost
  return {state.size, state.descriptors, state.available, state.used};
}

}  // namespace vmm::virtio
