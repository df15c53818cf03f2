// SPDX-License-Identifier: GPL-2.0-only
#include "backend/volatile_cache.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "backend/buffer_cursor.hpp"

namespace vmm::backend {
namespace {

std::vector<std::byte> copy_of(std::span<const iovec> buffers, uint64_t length) {
  std::vector<std::byte> data(length);
  gather(buffers, data.data());
  return data;
}

}  // namespace

VolatileCache::VolatileCache(std::unique_ptr<BlockBackend> backend, uint64_t max_bytes,
                             WriteBack write_back)
    : backend_(std::move(backend)), max_bytes_(max_bytes), write_back_(write_back) {
  assert(write_back == WriteBack::kNever || !backend_->read_only());
}

std::error_code VolatileCache::read(uint64_t offset_bytes, std::span<const iovec> into) {
  BufferCursor buffers(into);
  auto next = find(offset_bytes);
  while (buffers.left() > 0) {
    if (next == extents_.end() || next->first > offset_bytes) {
      // The wrapped backend is asked only for what the cache does not have.
      const uint64_t gap = next == extents_.end() ? buffers.left() : next->first - offset_bytes;
      const uint64_t step = std::min(gap, buffers.left());
      if (const auto error = backend_->read(offset_bytes, buffers.take(step))) return error;
      offset_bytes += step;
      continue;
    }
    const Extent& extent = next->second;
    const uint64_t skipped = offset_bytes - next->first;
    const uint64_t step = std::min(extent.length - skipped, buffers.left());
    if (extent.kind == Kind::kData) {
      scatter(extent.data.data() + skipped, buffers.take(step));
    } else {
      clear(buffers.take(step));
    }
    offset_bytes += step;
    ++next;
  }
  return {};
}

std::error_code VolatileCache::write(uint64_t offset_bytes, std::span<const iovec> from) {
  BufferCursor buffers(from);
  while (buffers.left() > 0) {
    const uint64_t step = std::min(buffers.left(), kMaxExtentBytes);
    Extent extent{Kind::kData, step, copy_of(buffers.take(step), step)};
    if (const auto error = keep(offset_bytes, std::move(extent))) return error;
    offset_bytes += step;
  }
  return {};
}

std::error_code VolatileCache::discard(uint64_t offset_bytes, uint64_t length_bytes) {
  return keep(offset_bytes, {Kind::kDiscarded, length_bytes, {}});
}

std::error_code VolatileCache::write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                                            bool may_unmap) {
  const Kind kind = may_unmap ? Kind::kUnmappedZeroes : Kind::kZeroes;
  return keep(offset_bytes, {kind, length_bytes, {}});
}

std::error_code VolatileCache::flush() {
  if (write_back_ == WriteBack::kNever) return {};
  for (auto& [offset, extent] : extents_) {
    if (const auto error = write_back(offset, extent)) return error;
  }
  if (const auto error = backend_->flush()) return error;
  extents_.clear();
  cached_bytes_ = 0;
  return {};
}

std::error_code VolatileCache::keep(uint64_t offset, Extent extent) {
  if (extent.length == 0) return {};
  // Cutting it out of an older extent may split that in two.
  if (const auto error = make_room(extent.cost() + kExtentCostBytes)) return error;
  forget(offset, extent.length);
  cached_bytes_ += extent.cost();
  extents_.emplace(offset, std::move(extent));
  return {};
}

std::error_code VolatileCache::make_room(uint64_t cost) {
  while (!extents_.empty() && cached_bytes_ + cost > max_bytes_) {
    if (write_back_ == WriteBack::kNever) {
      return std::make_error_code(std::errc::no_space_on_device);
    }
    if (const auto error = write_back_first()) return error;
  }
  return {};
}

std::error_code VolatileCache::write_back_first() {
  const auto first = extents_.begin();
  if (const auto error = write_back(first->first, first->second)) return error;
  cached_bytes_ -= first->second.cost();
  extents_.erase(first);
  return {};
}

std::error_code VolatileCache::write_back(uint64_t offset, Extent& extent) {
  const iovec buffer{extent.data.data(), extent.data.size()};
  switch (extent.kind) {
    case Kind::kData:
      return backend_->write(offset, std::span(&buffer, 1));
    case Kind::kZeroes:
      return backend_->write_zeroes(offset, extent.length, false);
    case Kind::kUnmappedZeroes:
      return backend_->write_zeroes(offset, extent.length, true);
    case Kind::kDiscarded:
      return backend_->discard(offset, extent.length);
  }
  assert(false);
  return std::make_error_code(std::errc::io_error);
}

VolatileCache::Extents::const_iterator VolatileCache::find(uint64_t offset) const {
  const auto after = extents_.upper_bound(offset);
  if (after == extents_.begin()) return after;
  const auto before = std::prev(after);
  return before->first + before->second.length > offset ? before : after;
}

void VolatileCache::forget(uint64_t offset, uint64_t length) {
  split(offset);
  split(offset + length);
  const auto first = extents_.lower_bound(offset);
  const auto last = extents_.lower_bound(offset + length);
  for (auto extent = first; extent != last; ++extent) cached_bytes_ -= extent->second.cost();
  extents_.erase(first, last);
}

// Splits the extent that has `offset` in its middle.
void VolatileCache::split(uint64_t offset) {
  const auto after = extents_.lower_bound(offset);
  if (after == extents_.begin()) return;
  const auto& [start, extent] = *std::prev(after);
  const uint64_t length = offset - start;
  if (length >= extent.length) return;
  Extent head{extent.kind, length, {}};
  Extent tail{extent.kind, extent.length - length, {}};
  if (extent.kind == Kind::kData) {
    // Copies of the right size: a shortened vector would keep its memory, uncounted.
    const auto middle = extent.data.begin() + static_cast<std::ptrdiff_t>(length);
    head.data.assign(extent.data.begin(), middle);
    tail.data.assign(middle, extent.data.end());
  }
  std::prev(after)->second = std::move(head);
  extents_.emplace_hint(after, offset, std::move(tail));
  cached_bytes_ += kExtentCostBytes;
}

}  // namespace vmm::backend
