// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/block.hpp"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include <utility>

#include "virtio/device/block_request.hpp"

namespace vmm::virtio {
namespace {

constexpr uint16_t kRequestQueue = 0;
constexpr std::array<uint16_t, 1> kQueueMaxSizes = {128};

virtio_blk_config make_config(const backend::BlockBackend& backend) {
  virtio_blk_config config{};
  config.capacity = backend.size_bytes() / backend::kSectorBytes;
  config.seg_max = kQueueMaxSizes[0] - kRequestOverheadSegments;
  config.blk_size = backend.block_bytes();
  config.max_discard_sectors = kMaxDiscardSectors;
  config.max_discard_seg = kMaxDiscardSegments;
  config.discard_sector_alignment = 1;
  config.max_write_zeroes_sectors = kMaxWriteZeroesSectors;
  config.max_write_zeroes_seg = kMaxDiscardSegments;
  config.write_zeroes_may_unmap = 1;
  return config;
}

}  // namespace

Block::Block(std::unique_ptr<backend::BlockBackend> backend)
    : backend_(std::move(backend)), config_(make_config(*backend_)) {}

uint32_t Block::type() const { return VIRTIO_ID_BLOCK; }

uint64_t Block::features() const {
  const uint64_t common = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
                          1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_F_RING_RESET;
  if (backend_->read_only()) return common | 1ULL << VIRTIO_BLK_F_RO;
  return common | 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
}

std::span<const uint16_t> Block::queue_max_sizes() const { return kQueueMaxSizes; }

void Block::read_config(uint64_t offset, std::span<std::byte> data) const {
  read_config_bytes(std::as_bytes(std::span(&config_, 1)), offset, data);
}

void Block::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  queues_.start(std::move(activation));
  serve();
}

void Block::notify(uint16_t) {
  const std::lock_guard lock(mutex_);
  serve();
}

void Block::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.stop(index);
}

void Block::reset() {
  const std::lock_guard lock(mutex_);
  queues_.stop();
}

void Block::start_queue(uint16_t index, Queue queue) {
  const std::lock_guard lock(mutex_);
  queues_.start(index, std::move(queue));
  serve();
}

void Block::serve() {
  // A driver that turned FLUSH down has no other way to make its writes stable (5.2.6.2).
  const bool flushes = (queues_.features() & 1ULL << VIRTIO_BLK_F_FLUSH) != 0;
  const WriteMode mode = flushes ? WriteMode::kBack : WriteMode::kThrough;
  while (auto chain = queues_.pop(kRequestQueue)) {
    const auto written = serve_block_request(*backend_, mode, *chain);
    if (!written) {
      queues_.fail(kRequestQueue, Fault::kMalformedRequest);
      return;
    }
    queues_.complete(kRequestQueue, std::move(*chain), *written);
  }
}

}  // namespace vmm::virtio
