// SPDX-License-Identifier: GPL-2.0-only
//
// Where the parts of a queue may lie: what both kinds of ring check when they are created, before
// anything is read through their addresses. Internal to the rings; plain functions.
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

// Each part is aligned and wholly in one region of memory; the first one is the part that the
// device writes, and lies over none of the others.
std::optional<Fault> check_placement(const memory::GuestMemory& memory,
                                     std::span<const RingPart> parts);

}  // namespace vmm::virtio
