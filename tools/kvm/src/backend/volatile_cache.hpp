// SPDX-License-Identifier: GPL-2.0-only
//
// A disk whose write cache dies with the VMM's process: what the guest writes, zeroes or discards
// stays in this process's memory until flush(), which hands it to the wrapped backend and flushes
// that. A plain file hides a missing flush, because the host's page cache outlives the VMM; here a
// guest that does not send one, or a VMM that drops it, loses data for real. machine/ puts it
// around a disk that asks for it and hands it to a virtio::Block, which owns it and serialises the
// calls, on vCPU threads.
//
// Destroying the object is a power cut too: the destructor writes nothing back, so a clean stop
// loses what was not flushed just as SIGKILL does.
//
// A transient disk is the same without any writing back (WriteBack::kNever): the wrapped backend is
// only read, a flush has nothing to do, and when the memory is full writes fail with ENOSPC.
//
// The cache is bounded. A drive may write back whenever it likes, so when it is full the lowest
// offsets go to the wrapped backend, without a flush; a guest that keeps much less than
// kDefaultMaxBytes unflushed never notices. Data that can't be written back stays in the cache, and
// so does all that a flush writes back until the wrapped backend has flushed it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "backend/block_backend.hpp"

namespace vmm::backend {

enum class WriteBack { kAtFlush, kNever };

class VolatileCache final : public BlockBackend {
 public:
  static constexpr uint64_t kDefaultMaxBytes = 64 << 20;
  static constexpr uint64_t kTransientMaxBytes = 512 << 20;
  // A write is kept in pieces of at most this size; each costs one map entry.
  static constexpr uint64_t kMaxExtentBytes = 64 << 10;
  static constexpr uint64_t kExtentCostBytes = 128;

  // `backend` must be writable if anything shall be written back.
  explicit VolatileCache(std::unique_ptr<BlockBackend> backend,
                         uint64_t max_bytes = kDefaultMaxBytes,
                         WriteBack write_back = WriteBack::kAtFlush);

  uint64_t size_bytes() const override { return backend_->size_bytes(); }
  uint32_t block_bytes() const override { return backend_->block_bytes(); }
  bool read_only() const override { return false; }
  std::string identity() const override { return backend_->identity(); }

  std::error_code read(uint64_t offset_bytes, std::span<const iovec> into) override;

  // Fails only when there is no room and none can be made; part of `from` may have been cached
  // then.
  std::error_code write(uint64_t offset_bytes, std::span<const iovec> from) override;

  // An error leaves everything in the cache, as data written back may not be on the disk either.
  std::error_code flush() override;

  // A discarded range reads as zeroes until it is written back; then the backend decides.
  std::error_code discard(uint64_t offset_bytes, uint64_t length_bytes) override;
  std::error_code write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                               bool may_unmap) override;

  bool can_rewind() const override { return write_back_ == WriteBack::kNever; }
  void checkpoint() override { kept_ = {extents_, cached_bytes_}; }
  void rewind() override { std::tie(extents_, cached_bytes_) = kept_; }

  // The size of the cache now, as counted against the bound.
  uint64_t cached_bytes() const { return cached_bytes_; }

 private:
  enum class Kind { kData, kZeroes, kUnmappedZeroes, kDiscarded };

  struct Extent {
    Kind kind;
    uint64_t length;
    std::vector<std::byte> data;  // for kData only

    uint64_t cost() const { return kExtentCostBytes + data.size(); }
  };
  using Extents = std::map<uint64_t, Extent>;  // by offset

  std::error_code keep(uint64_t offset, Extent extent);
  std::error_code make_room(uint64_t cost);
  std::error_code write_back(uint64_t offset, Extent& extent);
  std::error_code write_back_first();

  // The extent that holds the byte at `offset`, or the next one.
  Extents::const_iterator find(uint64_t offset) const;
  void forget(uint64_t offset, uint64_t length);
  void split(uint64_t offset);

  const std::unique_ptr<BlockBackend> backend_;
  const uint64_t max_bytes_;
  const WriteBack write_back_;
  // Extents never overlap, since each write cuts its range out of the older ones; so the order of
  // writing them back does not matter.
  Extents extents_;
  uint64_t cached_bytes_ = 0;
  std::pair<Extents, uint64_t> kept_;  // both at the checkpoint
};

}  // namespace vmm::backend
