// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/block_request.hpp"

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

// Sectors to bytes, if they all exist. Compared in sectors, where nothing can wrap.
std::optional<ByteRange> range_on(const BlockBackend& backend, uint64_t sector, uint64_t count) {
  const uint64_t capacity = backend.size_bytes() / kSectorBytes;
  if (sector > capacity || count > capacity - sector) return std::nullopt;
  return ByteRange{sector * kSectorBytes, count * kSectorBytes};
}

std::optional<uint8_t> status_of(const BlockBackend::Result& result) {
  if (!result) return std::nullopt;
  return status_of(*result);
}

BlockBackend::Done telling(BlockRequest::Done done) {
  return [done = std::move(done)](std::error_code error) { done(status_of(error)); };
}

std::optional<uint8_t> read_sectors(BlockBackend& backend, const BlockParts& request,
                                    BlockRequest::Done done) {
  if (request.in_bytes % kSectorBytes != 0) return VIRTIO_BLK_S_IOERR;
  const auto range = range_on(backend, request.header->sector, request.in_bytes / kSectorBytes);
  if (!range) return VIRTIO_BLK_S_IOERR;
  return status_of(backend.begin_read(range->offset, request.in, telling(std::move(done))));
}

std::optional<uint8_t> write_sectors(BlockBackend& backend, WriteMode mode,
                                     const BlockParts& request, BlockRequest::Done done) {
  if (backend.read_only() || request.out_bytes % kSectorBytes != 0) return VIRTIO_BLK_S_IOERR;
  const auto range = range_on(backend, request.header->sector, request.out_bytes / kSectorBytes);
  if (!range) return VIRTIO_BLK_S_IOERR;
  // The flush that makes it stable must find it written.
  if (mode == WriteMode::kThrough) return status_of(backend.write(range->offset, request.out));
  return status_of(backend.begin_write(range->offset, request.out, telling(std::move(done))));
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

uint8_t check_segments(const BlockBackend& backend, std::span<const Segment> segments,
                       uint32_t allowed_flags, uint32_t max_sectors) {
  for (const Segment& segment : segments) {
    if (segment.flags & ~allowed_flags) return VIRTIO_BLK_S_UNSUPP;
    if (segment.num_sectors > max_sectors) return VIRTIO_BLK_S_IOERR;
    if (!range_on(backend, segment.sector, segment.num_sectors)) return VIRTIO_BLK_S_IOERR;
  }
  return VIRTIO_BLK_S_OK;
}

// Discard and write-zeroes differ in their limits and in what is done to each segment.
template <class Apply>
uint8_t for_each_segment(BlockBackend& backend, const BlockParts& request, uint32_t allowed_flags,
                         uint32_t max_sectors, Apply apply) {
  const auto segments = segments_of(request);
  if (!segments || backend.read_only()) return VIRTIO_BLK_S_IOERR;
  const uint8_t checked = check_segments(backend, *segments, allowed_flags, max_sectors);
  if (checked != VIRTIO_BLK_S_OK) return checked;
  for (const Segment& segment : *segments) {
    const std::error_code error =
        apply(segment, segment.sector * kSectorBytes, segment.num_sectors * kSectorBytes);
    if (error) return VIRTIO_BLK_S_IOERR;
  }
  return VIRTIO_BLK_S_OK;
}

uint8_t discard(BlockBackend& backend, const BlockParts& request) {
  return for_each_segment(backend, request, 0, kMaxDiscardSectors,
                          [&](const Segment&, uint64_t offset, uint64_t length) {
                            return backend.discard(offset, length);
                          });
}

uint8_t write_zeroes(BlockBackend& backend, const BlockParts& request) {
  return for_each_segment(
      backend, request, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, kMaxWriteZeroesSectors,
      [&](const Segment& segment, uint64_t offset, uint64_t length) {
        const bool may_unmap = segment.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
        return backend.write_zeroes(offset, length, may_unmap);
      });
}

std::optional<uint8_t> carry_out(BlockBackend& backend, WriteMode mode, const BlockParts& request,
                                 BlockRequest::Done done) {
  switch (request.header->type) {
    case VIRTIO_BLK_T_IN:
      return read_sectors(backend, request, std::move(done));
    case VIRTIO_BLK_T_OUT:
      return write_sectors(backend, mode, request, std::move(done));
    case VIRTIO_BLK_T_FLUSH:
      return status_of(backend.begin_flush(telling(std::move(done))));
    case VIRTIO_BLK_T_GET_ID:
      return get_serial(backend, request);
    case VIRTIO_BLK_T_DISCARD:
      return discard(backend, request);
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return write_zeroes(backend, request);
    default:
      return VIRTIO_BLK_S_UNSUPP;
  }
}

bool changes_disk(uint32_t type) {
  return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
         type == VIRTIO_BLK_T_WRITE_ZEROES;
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

}  // namespace

BlockRequest::BlockRequest(Chain&& chain) : chain_(std::move(chain)), parts_(parts_of(chain_)) {}

std::optional<uint8_t> BlockRequest::begin(BlockBackend& backend, WriteMode mode, Done done) const {
  if (!parts_.header) return VIRTIO_BLK_S_IOERR;
  const auto status = carry_out(backend, mode, parts_, std::move(done));
  const bool flush = mode == WriteMode::kThrough && changes_disk(parts_.header->type);
  return flush && status == VIRTIO_BLK_S_OK ? status_of(backend.flush()) : status;
}

UsedChain BlockRequest::finish(uint8_t status) && {
  // The used length covers everything up to the status byte (2.7.8.2), so all of it gets written.
  if (status != VIRTIO_BLK_S_OK) fill_zero(parts_.in);
  copy_to(chain_.writable(), parts_.in_bytes, std::as_bytes(std::span(&status, 1)));
  const uint32_t written = chain_.writable_bytes();
  return {std::move(chain_), written};
}

}  // namespace vmm::virtio
