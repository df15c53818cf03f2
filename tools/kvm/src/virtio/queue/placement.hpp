// SPDX-License-Identifier: GPL-2.0-only
//
// Checks the addresses of a queue's parts, for both kinds of ring, when it is created and before
// any of them is read. Internal to the rings; plain functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "memory/guest_memory.hpp"
#include "virtio/queue/fault.hpp"

namespace vmm::virtio {

struct RingPart {
  memory::GuestAddress start;
  uint64_t length;
  uint64_t alignment;
};

// Each part must be aligned and within one region of memory; the first is the part that the device
// writes, and must not overlap the others.
std::optional<Fault> check_placement(const memory::GuestMemory& memory,
                                     std::span<const RingPart> parts);

}  // namespace vmm::virtio
