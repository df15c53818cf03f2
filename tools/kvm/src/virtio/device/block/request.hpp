// SPDX-License-Identifier: GPL-2.0-only
//
// One block request, from its descriptor chain to its status byte (virtio 1.2, 5.2.6). Block makes
// one of each chain, begins it on the vCPU thread that notified, and finishes it there, or later on
// the thread that the backend calls on. Requests that may take long (a flush, the zeroing of
// ranges) do not begin there: Block carries them out on its own thread.
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

// The limit for a discard or write-zeroes request, as in the configuration space.
inline constexpr uint32_t kMaxDiscardSegments = 32;
inline constexpr uint32_t kMaxDiscardSectors = 1U << 22;
inline constexpr uint32_t kMaxWriteZeroesSectors = 1U << 16;
// Limits of the size and number of a request's data segments. They allow requests of up to 8 MiB,
// more than Linux ever sends.
inline constexpr uint32_t kMaxSegmentBytes = 64 * 1024;
inline constexpr uint32_t kMaxSegments = 126;
inline constexpr uint64_t kMaxRequestBytes = uint64_t{kMaxSegmentBytes} * kMaxSegments;
// A chain also has a header and a status byte.
inline constexpr uint32_t kRequestOverheadSegments = 2;
inline constexpr size_t kSerialBytes = 20;

// Whether a completed write is in a cache that FLUSH empties, or is stable.
enum class WriteMode { kBack, kThrough };

// The parts of a chain: data to the device, data from the device; without header and status.
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
  // Returns whether the request's result is no longer needed.
  using Abandoned = std::function<bool()>;

  enum class Begun {
    kEnded,      // finish() it
    kUnderWay,   // `done` gets the status later, on another thread
    kTakesLong,  // not begun: call carry_out()
  };

  // The chain must have a writable byte, for the status.
  BlockRequest(Chain&& chain, WriteMode mode);

  Begun begin(backend::BlockBackend& backend, Done done);

  // Carries the request out, however long that takes. Ranges are processed in steps, and no further
  // step begins once it is abandoned.
  void carry_out(backend::BlockBackend& backend, const Abandoned& abandoned);

  void end(uint8_t status) { status_ = status; }

  // Writes the status. The chain goes back with all of its writable bytes used; for a request above
  // the size limit, only the status was touched.
  UsedChain finish() &&;

 private:
  bool changes_disk() const;

  Chain chain_;
  const WriteMode mode_;
  BlockParts parts_;
  uint8_t status_;
};

}  // namespace vmm::virtio
