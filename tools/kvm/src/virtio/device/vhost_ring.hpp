// SPDX-License-Identifier: GPL-2.0-only
//
// A queue as vhost wants it told. For the devices of this folder that have vhost serve theirs.
#pragma once

#include <cassert>

#include "backend/vhost.hpp"
#include "virtio/queue/state.hpp"

namespace vmm::virtio {

inline backend::VhostRing vhost_ring(const QueueState& state) {
  assert(!state.packed);  // machine/ offers none with vhost
  return {state.size, state.descriptors, state.available, state.used};
}

}  // namespace vmm::virtio
