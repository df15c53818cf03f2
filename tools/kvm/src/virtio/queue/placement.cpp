// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/placement.hpp"

namespace vmm::virtio {
namespace {

bool overlap(const RingPart& a, const RingPart& b) {
  return a.start.value < b.start.value + b.length && b.start.value < a.start.value + a.length;
}

}  // namespace

std::optional<Fault> check_placement(const memory::GuestMemory& memory,
                                     std::span<const RingPart> parts) {
  for (const RingPart& part : parts) {
    if (part.start.value % part.alignment != 0) return Fault::kRingMisaligned;
  }
  for (const RingPart& part : parts) {
    if (!memory.slice(part.start, part.length)) return Fault::kRingOutsideMemory;
  }
  // All lie in memory, so no sum wraps.
  for (const RingPart& other : parts.subspan(1)) {
    if (overlap(parts.front(), other)) return Fault::kUsedRingOverlaps;
  }
  return std::nullopt;
}

}  // namespace vmm::virtio
