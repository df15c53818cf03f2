// SPDX-License-Identifier: GPL-2.0-only
//
// One block request, from its descriptor chain to its status byte (virtio 1.2, 5.2.6). Block calls
// serve_block_request() for each chain, under its mutex, on the vCPU thread that notified.
#pragma once

#include <cstdint>
#include <optional>

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

// Carries the request out and writes its status. Returns the used length, or nothing when the
// chain has no byte for the status.
std::optional<uint32_t> serve_block_request(backend::BlockBackend& backend, WriteMode mode,
                                            const Chain& chain);

}  // namespace vmm::virtio
