// SPDX-License-Identifier: GPL-2.0-only
//
// What a driver can get wrong in a virtqueue, as values: a guest's mistake is neither an exception
// nor a crash of the VMM. Queue makes them, the device hands them to its Interrupt, the transport
// turns them into DEVICE_NEEDS_RESET. Plain data, usable on any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace vmm::virtio {

enum class Fault : uint8_t {
  // Of the rings' set-up (virtio 1.2, 2.7).
  kQueueSize,          // zero, above the maximum, or (split) not a power of two
  kRingMisaligned,     // table 16, available ring 2, used ring 4 bytes
  kRingOutsideMemory,  // a part is not wholly in one region of guest memory
  kUsedRingOverlaps,   // the used ring lies over the descriptor table or the available ring
  // Of the available ring.
  kAvailableIndexJumped,  // more entries than the ring has
  kTooManyInFlight,       // more chains outstanding than there are descriptors
  kHeadOutOfRange,
  // Of a descriptor chain.
  kNextOutOfRange,
  kChainTooLong,            // longer than the queue size, which is also how a loop shows
  kWritableBeforeReadable,  // a device-readable buffer after a device-writable one
  kZeroLength,
  kBufferOutsideMemory,  // over a hole or the end of memory, or the address wraps
  kChainTooLarge,        // 2^32 bytes and more
  kIndirectNotNegotiated,
  kIndirectWithNext,
  kIndirectNested,
  kIndirectLength,  // zero, or not a multiple of a descriptor's size
  kIndirectOutsideMemory,
  // Of a device's own protocol.
  kMalformedRequest,  // the device has no way to answer, for example no status byte
  // Of what the host's kernel serves (vhost), which does not say more.
  kRefusedByHost,
};

std::string_view describe(Fault fault);

}  // namespace vmm::virtio
