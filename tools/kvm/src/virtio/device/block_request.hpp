// SPDX-License-Identifier: GPL-2.0-only
//
// One block request, from its descriptor chain to its status byte (virtio 1.2, 5.2.6). Block makes
// one of each chain, begins it on the vCPU thread that notified, and finishes it there, or later on
// the thread that the backend tells of its end.
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

  // The chain has a writable byte, for the status.
  explicit BlockRequest(Chain&& chain);

  // The status where it is to be had at once; else nothing, and `done` gets it later, on another
  // thread.
  std::optional<uint8_t> begin(backend::BlockBackend& backend, WriteMode mode, Done done) const;

  // Writes the status. The chain goes back with all of its writable bytes used.
  UsedChain finish(uint8_t status) &&;

 private:
  Chain chain_;
  BlockParts parts_;
};

}  // namespace vmm::virtio
