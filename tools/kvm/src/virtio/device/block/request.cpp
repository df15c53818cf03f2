// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/block/request.hpp"

#include <linux/virtio_blk.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>
#include <vector>

#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {

using backend::BlockBackend;
using backend::kSectorBytes;

namespace {

struct ByteRange {
  uint64_t offset;
  uint64_t length;
};

uint8_t status_of(const std::error_code& error) {
  return error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

// Converts sectors to bytes, if they all exist. Compares in sectors, where nothing can wrap.
std::optional<ByteRange> range_on(const BlockBackend& backend, uint64_t sector, uint64_t count) {
  const uint64_t capacity = backend.size_bytes() / kSectorBytes;
  if (sector > capacity || count > capacity - sector) return std::nullopt;
  return ByteRange{sector * kSectorBytes, count * kSectorBytes};
}

BlockBackend::Done telling(BlockRequest::Done done) {
  return [done = std::move(done)](std::error_code error) { done(status_of(error)); };
}

// The disk's range for the data of a read or write; nothing if it does not exist.
std::optional<ByteRange> range_of(const BlockBackend& backend, const BlockParts& request,
                                  uint64_t bytes) {
  if (bytes % kSectorBytes != 0) return std::nullopt;
  return range_on(backend, request.header->sector, bytes / kSectorBytes);
}

uint8_t get_serial(BlockBackend& backend, const BlockParts& request) {
  if (request.in_bytes < kSerialBytes) return VIRTIO_BLK_S_IOERR;
  std::array<char, kSerialBytes> serial{};
  const std::string identity = backend.identity();
  std::copy_n(identity.begin(), std::min(identity.size(), serial.size()), serial.begin());
  fill_zero(request.in);
  copy_to(request.in, 0, std::as_bytes(std::span(serial)));
  return VIRTIO_BLK_S_OK;
}

using Segment = virtio_blk_discard_write_zeroes;

// The request's segments, read once; nothing if their number is wrong.
std::optional<std::vector<Segment>> segments_of(const BlockParts& request) {
  const uint64_t count = request.out_bytes / sizeof(Segment);
  if (request.out_bytes % sizeof(Segment) != 0) return std::nullopt;
  if (count == 0 || count > kMaxDiscardSegments) return std::nullopt;
  std::vector<Segment> segments(count);
  copy_from(request.out, 0, std::as_writable_bytes(std::span(segments)));
  return segments;
}

struct Limits {
  uint32_t flags;  // allowed flags
  uint32_t sectors;
  uint64_t step_bytes;
};
// A file system frees a range in one step, but zeroes may have to be written.
constexpr Limits kDiscardLimits = {0, kMaxDiscardSectors, 64 << 20};
constexpr Limits kWriteZeroesLimits = {VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, kMaxWriteZeroesSectors,
                                       4 << 20};

uint8_t check_segments(const BlockBackend& backend, std::span<const Segment> segments,
                       const Limits& limits) {
  for (const Segment& segment : segments) {
    if (segment.flags & ~limits.flags) return VIRTIO_BLK_S_UNSUPP;
    if (segment.num_sectors > limits.sectors) return VIRTIO_BLK_S_IOERR;
    if (!range_on(backend, segment.sector, segment.num_sectors)) return VIRTIO_BLK_S_IOERR;
  }
  return VIRTIO_BLK_S_OK;
}

// Discard and write-zeroes differ in their limits and in `apply`, which handles one step of a
// segment.
template <class Apply>
uint8_t for_each_step(BlockBackend& backend, const BlockParts& request, const Limits& limits,
                      const BlockRequest::Abandoned& abandoned, Apply apply) {
  const auto segments = segments_of(request);
  if (!segments || backend.read_only()) return VIRTIO_BLK_S_IOERR;
  const uint8_t checked = check_segments(backend, *segments, limits);
  if (checked != VIRTIO_BLK_S_OK) return checked;
  for (const Segment& segment : *segments) {
    uint64_t offset = segment.sector * kSectorBytes;
    const uint64_t end = offset + segment.num_sectors * kSectorBytes;
    while (offset < end) {
      if (abandoned()) return VIRTIO_BLK_S_IOERR;
      // Steps end at cluster borders of an image, so that no cluster is split.
      const uint64_t next = std::min(end, (offset / limits.step_bytes + 1) * limits.step_bytes);
      if (apply(segment, offset, next - offset)) return VIRTIO_BLK_S_IOERR;
      offset = next;
    }
  }
  return VIRTIO_BLK_S_OK;
}

uint8_t discard(BlockBackend& backend, const BlockParts& request,
                const BlockRequest::Abandoned& abandoned) {
  return for_each_step(backend, request, kDiscardLimits, abandoned,
                       [&](const Segment&, uint64_t offset, uint64_t length) {
                         return backend.discard(offset, length);
                       });
}

uint8_t write_zeroes(BlockBackend& backend, const BlockParts& request,
                     const BlockRequest::Abandoned& abandoned) {
  return for_each_step(backend, request, kWriteZeroesLimits, abandoned,
                       [&](const Segment& segment, uint64_t offset, uint64_t length) {
                         const bool may_unmap = segment.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
                         return backend.write_zeroes(offset, length, may_unmap);
                       });
}

uint8_t perform(BlockBackend& backend, const BlockParts& request,
                const BlockRequest::Abandoned& abandoned) {
  switch (request.header->type) {
    case VIRTIO_BLK_T_IN: {
      const auto range = range_of(backend, request, request.in_bytes);
      return range ? status_of(backend.read(range->offset, request.in)) : VIRTIO_BLK_S_IOERR;
    }
    case VIRTIO_BLK_T_OUT: {
      const auto range = range_of(backend, request, request.out_bytes);
      if (!range || backend.read_only()) return VIRTIO_BLK_S_IOERR;
      return status_of(backend.write(range->offset, request.out));
    }
    case VIRTIO_BLK_T_FLUSH:
      return status_of(backend.flush());
    case VIRTIO_BLK_T_GET_ID:
      return get_serial(backend, request);
    case VIRTIO_BLK_T_DISCARD:
      return discard(backend, request, abandoned);
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return write_zeroes(backend, request, abandoned);
    default:
      return VIRTIO_BLK_S_UNSUPP;
  }
}

BlockParts parts_of(const Chain& chain) {
  assert(chain.writable_bytes() > 0);
  BlockParts parts{};
  // The status is the last writable byte, wherever the driver put it (5.2.6).
  parts.in_bytes = chain.writable_bytes() - 1;
  parts.in = sub_range(chain.writable(), 0, parts.in_bytes);
  parts.header = object_from<virtio_blk_outhdr>(chain.readable(), 0);
  if (!parts.header) return parts;
  parts.out_bytes = chain.readable_bytes() - sizeof(virtio_blk_outhdr);
  parts.out = sub_range(chain.readable(), sizeof(virtio_blk_outhdr), parts.out_bytes);
  return parts;
}

bool is_too_large(const BlockParts& parts) {
  return parts.in_bytes > kMaxRequestBytes || parts.out_bytes > kMaxRequestBytes;
}

}  // namespace

BlockRequest::BlockRequest(Chain&& chain, WriteMode mode)
    : chain_(std::move(chain)),
      mode_(mode),
      parts_(parts_of(chain_)),
      status_(VIRTIO_BLK_S_IOERR) {}

bool BlockRequest::changes_disk() const {
  const uint32_t type = parts_.header->type;
  return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
         type == VIRTIO_BLK_T_WRITE_ZEROES;
}

BlockRequest::Begun BlockRequest::begin(BlockBackend& backend, Done done) {
  if (!parts_.header || is_too_large(parts_)) return Begun::kEnded;
  BlockBackend::Result result;
  switch (parts_.header->type) {
    case VIRTIO_BLK_T_IN: {
      const auto range = range_of(backend, parts_, parts_.in_bytes);
      if (!range) return Begun::kEnded;
      result = backend.begin_read(range->offset, parts_.in, telling(std::move(done)));
      break;
    }
    case VIRTIO_BLK_T_OUT: {
      // It needs a flush after the write, which takes long.
      if (mode_ == WriteMode::kThrough) return Begun::kTakesLong;
      const auto range = range_of(backend, parts_, parts_.out_bytes);
      if (!range || backend.read_only()) return Begun::kEnded;
      result = backend.begin_write(range->offset, parts_.out, telling(std::move(done)));
      break;
    }
    case VIRTIO_BLK_T_FLUSH: {
      auto told = telling(std::move(done));
      return backend.begin_flush(told) ? Begun::kUnderWay : Begun::kTakesLong;
    }
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return Begun::kTakesLong;
    default:
      carry_out(backend, {});
      return Begun::kEnded;
  }
  if (!result) return Begun::kUnderWay;
  status_ = status_of(*result);
  return Begun::kEnded;
}

void BlockRequest::carry_out(BlockBackend& backend, const Abandoned& abandoned) {
  if (!parts_.header || is_too_large(parts_)) return;
  status_ = perform(backend, parts_, abandoned);
  const bool flush = mode_ == WriteMode::kThrough && changes_disk();
  if (flush && status_ == VIRTIO_BLK_S_OK) status_ = status_of(backend.flush());
}

UsedChain BlockRequest::finish() && {
  const bool untouched = is_too_large(parts_) && parts_.in_bytes > 0;
  // The used length covers everything up to the status byte (2.7.8.2), so all of it is written;
  // otherwise nothing counts as written, and the driver must not read it.
  if (status_ != VIRTIO_BLK_S_OK && !untouched) fill_zero(parts_.in);
  copy_to(chain_.writable(), parts_.in_bytes, std::as_bytes(std::span(&status_, 1)));
  const uint32_t written = untouched ? 0 : chain_.writable_bytes();
  return {std::move(chain_), written};
}

}  // namespace vmm::virtio
