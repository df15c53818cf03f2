// SPDX-License-Identifier: GPL-2.0-only
//
// One block request, from its descriptor chain to its status byte (virtio 1.2, 5.2.6). Block makes
// one of each chain, begins it on the vCPU thread that notified, and finishes it there, or later on
// the thread that the backend tells of its end. What may take long (a flush, the zeroing of ranges)
// does not begin there: Block carries it out on a thread of its own.
#pragma once

#include <linux/virtio_blk.h>
#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "backend/block_backend.hpp"
#include "virtio/queue/chain.hpp"

namespace vmm::virtio {

// Of one discard or write-zeroes request; the configuration space says so too.
inline constexpr uint32_t kMaxDiscardSegments = 32;
inline constexpr uint32_t kMaxDiscardSectors = 1U << 22;
inline constexpr uint32_t kMaxWriteZeroesSectors = 1U << 16;
// Of a request's data: segments of at most this size and number. A driver that goes by these makes
// requests of up to 8 MiB, which is more than Linux ever asks for at once.
inline constexpr uint32_t kMaxSegmentBytes = 64 * 1024;
inline constexpr uint32_t kMaxSegments = 126;
inline constexpr uint64_t kMaxRequestBytes = uint64_t{kMaxSegmentBytes} * kMaxSegments;
// A chain also has a header and a status byte.
inline constexpr uint32_t kRequestOverheadSegments = 2;
inline constexpr size_t kSerialBytes = 20;

// What a completed write means to the driver: data in a cache that FLUSH empties, or stable data.
enum class WriteMode { kBack, kThrough };

// The parts of a chain: data to the device, data from the device; header and status cut off.
struct BlockParts {
  std::optional<virtio_blk_outhdr> header;
  std::vector<iovec> out;
  uint64_t out_bytes = 0;
  std::vector<iovec> in;
  uint64_t in_bytes = 0;
};

class BlockRequest {
 public:
  using Done = std::function<void(uint8_t status)>;
  // Whether nobody waits for the request any more.
  using Abandoned = std::function<bool()>;

  enum class Begun {
    kEnded,      // finish() it
    kUnderWay,   // `done` gets the status later, on another thread
    kTakesLong,  // nothing has happened: carry_out() does it all
  };

  // The chain has a writable byte, for the status.
  BlockRequest(Chain&& chain, WriteMode mode);

  Begun begin(backend::BlockBackend& backend, Done done);

  // Returns when it has ended, however long that takes; ranges are worked on in steps, and no other
  // step begins once it is abandoned.
  void carry_out(backend::BlockBackend& backend, const Abandoned& abandoned);

  void end(uint8_t status) { status_ = status; }

  // Writes the status. The chain goes back with all of its writable bytes used; of a request that
  // is larger than requests may be, nothing but the status was touched.
  UsedChain finish() &&;

 private:
  bool changes_disk() const;

  Chain chain_;
  const WriteMode mode_;
  BlockParts parts_;
  uint8_t status_;
};

}  // namespace vmm::virtio
