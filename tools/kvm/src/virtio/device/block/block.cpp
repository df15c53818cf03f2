// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/block/block.hpp"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include <cassert>
#include <chrono>
#include <thread>
#include <utility>
#include <variant>

#include "virtio/device/block/request.hpp"

namespace vmm::virtio {
namespace {

constexpr uint16_t kQueueMaxSize = 128;
constexpr size_t kTogether = 32;  // most completions per notification of the driver
// The time that a vCPU waits for another one's backend call: enough for most calls, but not for
// long ones.
constexpr std::chrono::milliseconds kPatience{1};
static_assert(kMaxSegments == kQueueMaxSize - kRequestOverheadSegments);

virtio_blk_config make_config(const backend::BlockBackend& backend, uint16_t queues) {
  virtio_blk_config config{};
  config.capacity = backend.size_bytes() / backend::kSectorBytes;
  config.size_max = kMaxSegmentBytes;
  config.seg_max = kMaxSegments;
  config.blk_size = backend.block_bytes();
  config.num_queues = queues;
  config.max_discard_sectors = kMaxDiscardSectors;
  config.max_discard_seg = kMaxDiscardSegments;
  config.discard_sector_alignment = 1;
  config.max_write_zeroes_sectors = kMaxWriteZeroesSectors;
  config.max_write_zeroes_seg = kMaxDiscardSegments;
  config.write_zeroes_may_unmap = 1;
  return config;
}

}  // namespace

Block::Block(std::unique_ptr<backend::BlockBackend> backend, uint16_t queues)
    : backend_(std::move(backend)),
      queue_max_sizes_(queues, kQueueMaxSize),
      config_(make_config(*backend_, queues)),
      lanes_(queues),
      worker_(1, [this](uint16_t) { do_chores(); }) {
  assert(queues >= 1 && queues <= kMaxQueues);
}

Block::~Block() { drain(); }

uint32_t Block::type() const { return VIRTIO_ID_BLOCK; }

uint64_t Block::features() const {
  uint64_t offered = 1ULL << VIRTIO_BLK_F_SIZE_MAX | 1ULL << VIRTIO_BLK_F_SEG_MAX |
                     1ULL << VIRTIO_BLK_F_BLK_SIZE | 1ULL << VIRTIO_BLK_F_FLUSH |
                     1ULL << VIRTIO_F_RING_RESET;
  if (queue_max_sizes_.size() > 1) offered |= 1ULL << VIRTIO_BLK_F_MQ;
  if (backend_->read_only()) return offered | 1ULL << VIRTIO_BLK_F_RO;
  return offered | 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
}

std::span<const uint16_t> Block::queue_max_sizes() const { return queue_max_sizes_; }

void Block::read_config(uint64_t offset, std::span<std::byte> data) const {
  read_config_bytes(std::as_bytes(std::span(&config_, 1)), offset, data);
}

template <class Change>
void Block::change_queues(Change change) {
  lock_queues();
  change();
  unlock_queues();
}

void Block::lock_queues() {
  {
    const std::lock_guard lock(mutex_);
    ++changing_;
  }
  drain();
  mutex_.lock();
}

void Block::unlock_queues() {
  --changing_;
  mutex_.unlock();
  // Notifications that came meanwhile were ignored.
  for (uint16_t index = 0; index < lanes_.size(); ++index) serve(index, Occasion::kChanged);
}

Block::Hold Block::hold() {
  lock_queues();
  return {this, [](Device* self) { static_cast<Block*>(self)->unlock_queues(); }};
}

void Block::checkpoint() {
  kept_ = queues_;
  backend_->checkpoint();
}

void Block::rewind() {
  queues_ = kept_;
  ++starts_;
  backend_->rewind();
}

void Block::activate(Activation activation) {
  change_queues([&] {
    queues_.start(std::move(activation));
    for (Lane& lane : lanes_) {
      lane.pace = {};
      lane.gathers = false;
    }
    ++starts_;
  });
}

void Block::notify(uint16_t index) { serve(index, Occasion::kNotified); }

void Block::catch_up(uint16_t index) { serve(index, Occasion::kBacklog); }

void Block::stop_queue(uint16_t index) {
  change_queues([&] { queues_.stop(index); });
}

void Block::reset() {
  ++resets_;
  change_queues([&] { queues_.stop(); });
  --resets_;
}

void Block::start_queue(uint16_t index, Queue queue) {
  change_queues([&] { queues_.start(index, std::move(queue)); });
}

void Block::serve(uint16_t index, Occasion occasion) {
  if (index >= lanes_.size()) return;
  std::optional<Fault> fault;
  uint64_t starts;
  {
    const std::shared_lock lock(mutex_);
    if (changing_ > 0) return;
    Lane& lane = lanes_[index];
    const std::lock_guard lane_lock(lane.mutex);
    if (occasion == Occasion::kNotified && queues_.ready(index)) {
      const auto wait = lane.pace.notified(std::chrono::steady_clock::now());
      if (wait) {
        lane.gathers = true;
        return queues_.serve_after(index, *wait);
      }
    }
    starts = starts_;
    const Served served = serve_queue(index);
    const bool gathered = occasion == Occasion::kBacklog && std::exchange(lane.gathers, false);
    if (gathered) lane.pace.gathered(served.requests);
    fault = served.fault;
  }
  if (!fault) return;
  const std::lock_guard lock(mutex_);
  if (starts == starts_ && queues_.ready(index)) queues_.fail(index, *fault);
}

Block::Served Block::serve_queue(uint16_t index) {
  // Without FLUSH a driver has no other way to make its writes stable (5.2.6.2).
  const bool flushes = (queues_.features() & 1ULL << VIRTIO_BLK_F_FLUSH) != 0;
  const WriteMode mode = flushes ? WriteMode::kBack : WriteMode::kThrough;
  Served served{};
  std::vector<UsedChain> done;
  queues_.begin_turn(index);
  for (;;) {
    auto popped = queues_.take(index);
    Chain* chain = std::get_if<Chain>(&popped);
    if (const Fault* fault = std::get_if<Fault>(&popped)) served.fault = *fault;
    if (chain != nullptr && chain->writable_bytes() == 0) served.fault = Fault::kMalformedRequest;
    if (chain == nullptr || served.fault) break;
    ++served.requests;
    if (auto used = begin(index, std::move(*chain), mode)) done.push_back(std::move(*used));
    if (done.size() >= kTogether) queues_.complete(index, std::exchange(done, {}));
  }
  if (!done.empty()) queues_.complete(index, std::move(done));
  return served;
}

std::optional<UsedChain> Block::begin(uint16_t index, Chain&& chain, WriteMode mode) {
  const auto request = std::make_shared<BlockRequest>(std::move(chain), mode);
  auto begun = BlockRequest::Begun::kTakesLong;
  {
    std::unique_lock backend_lock(backend_mutex_, std::defer_lock);
    if (backend_->concurrent() || admitted(backend_lock)) {
      begun = request->begin(*backend_, [this, index, starts = starts_, request](uint8_t how) {
        request->end(how);
        finish_later(index, starts, *request);
      });
    }
  }
  if (begun == BlockRequest::Begun::kEnded) return std::move(*request).finish();
  if (begun == BlockRequest::Begun::kTakesLong) add_chore({index, starts_, request});
  return std::nullopt;
}

// Returns false at once while a long request of another queue runs.
bool Block::admitted(std::unique_lock<std::mutex>& backend_lock) const {
  if (chores_left_ > 0) return false;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!backend_lock.try_lock()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

void Block::finish_later(uint16_t index, uint64_t starts, BlockRequest& request) {
  const std::shared_lock lock(mutex_);
  const std::lock_guard lane_lock(lanes_[index].mutex);
  // A fault in another queue may have stopped this one.
  if (starts != starts_ || !queues_.ready(index)) return;
  UsedChain used = std::move(request).finish();
  queues_.complete(index, std::move(used.chain), used.written_bytes);
}

void Block::add_chore(Chore chore) {
  {
    const std::lock_guard lock(chores_mutex_);
    chores_.push_back(std::move(chore));
    ++chores_left_;
  }
  worker_.serve_after(0, {});
}

void Block::do_chores() {
  std::unique_lock lock(chores_mutex_);
  while (!chores_.empty()) {
    const Chore chore = std::move(chores_.front());
    chores_.pop_front();
    lock.unlock();
    {
      std::unique_lock backend_lock(backend_mutex_, std::defer_lock);
      if (!backend_->concurrent()) backend_lock.lock();
      const auto abandoned = [this] { return resets_ > 0; };
      if (!abandoned()) chore.request->carry_out(*backend_, abandoned);
    }
    finish_later(chore.index, chore.starts, *chore.request);
    lock.lock();
    if (--chores_left_ == 0) no_chores_.notify_all();
  }
}

// Waits for all requests in flight.
void Block::drain() {
  {
    std::unique_lock lock(chores_mutex_);
    no_chores_.wait(lock, [this] { return chores_left_ == 0; });
  }
  backend_->drain();
}

}  // namespace vmm::virtio
