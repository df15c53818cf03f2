// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/fault.hpp"

namespace vmm::virtio {

std::string_view describe(Fault fault) {
  switch (fault) {
    case Fault::kQueueSize:
      return "queue size is zero, above the maximum, or (split) not a power of two";
    case Fault::kRingMisaligned:
      return "a ring's address is misaligned";
    case Fault::kRingOutsideMemory:
      return "a ring is not in guest memory";
    case Fault::kUsedRingOverlaps:
      return "the used ring overlaps another part of the queue";
    case Fault::kAvailableIndexJumped:
      return "the available index is further ahead than the queue is long";
    case Fault::kTooManyInFlight:
      return "more chains are outstanding than the queue is long";
    case Fault::kHeadOutOfRange:
      return "the available ring names a descriptor past the table's end";
    case Fault::kNextOutOfRange:
      return "a descriptor's next is past the table's end";
    case Fault::kChainTooLong:
      return "a descriptor chain is longer than the queue, or loops";
    case Fault::kWritableBeforeReadable:
      return "a readable descriptor follows a writable one";
    case Fault::kZeroLength:
      return "a descriptor has length zero";
    case Fault::kBufferOutsideMemory:
      return "a buffer is not in guest memory";
    case Fault::kChainTooLarge:
      return "a descriptor chain has 2^32 bytes or more";
    case Fault::kIndirectNotNegotiated:
      return "an indirect descriptor without VIRTIO_F_INDIRECT_DESC";
    case Fault::kIndirectWithNext:
      return "an indirect descriptor with a next";
    case Fault::kIndirectNested:
      return "an indirect descriptor inside an indirect table";
    case Fault::kIndirectLength:
      return "an indirect table's length is not a number of descriptors";
    case Fault::kIndirectOutsideMemory:
      return "an indirect table is not in guest memory";
    case Fault::kMalformedRequest:
      return "a request has no place for its answer";
    case Fault::kRefusedByHost:
      return "the host's vhost can't use what the driver made of it";
  }
  return "unknown fault";
}

}  // namespace vmm::virtio
