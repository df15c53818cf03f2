// SPDX-License-Identifier: GPL-2.0-only
//
// A driver's errors in a virtqueue, as values: they are neither exceptions nor crashes of the VMM.
// Queue makes them, the device passes them to its Interrupt, the transport turns them into
// DEVICE_NEEDS_RESET. Plain data, usable on any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace vmm::virtio {

enum class Fault : uint8_t {
  // Faults in the set-up of rings (virtio 1.2, 2.7).
  kQueueSize,          // zero, above the maximum, or (split) not a power of two
  kRingMisaligned,     // table 16, available ring 2, used ring 4 bytes
  kRingOutsideMemory,  // a part is not within one region of guest memory
  kUsedRingOverlaps,   // the used ring overlaps the descriptor table or the available ring
  // Faults in the available ring.
  kAvailableIndexJumped,  // more entries than the ring has
  kTooManyInFlight,       // more chains outstanding than there are descriptors
  kHeadOutOfRange,
  // Faults in a descriptor chain.
  kNextOutOfRange,
  kChainTooLong,            // longer than the queue size; also for a loop
  kWritableBeforeReadable,  // a device-readable buffer after a device-writable one
  kZeroLength,
  kBufferOutsideMemory,  // over a hole or the end of memory, or the address wraps
  kChainTooLarge,        // 2^32 bytes and more
  kIndirectNotNegotiated,
  kIndirectWithNext,
  kIndirectNested,
  kIndirectLength,  // zero, or not a multiple of a descriptor's size
  kIndirectOutsideMemory,
  // Faults in a device's own protocol.
  kMalformedRequest,  // the device can't answer, for example without a status byte
  // Faults that vhost reports without more detail.
  kRefusedByHost,
};

std::string_view describe(Fault fault);

}  // namespace vmm::virtio
