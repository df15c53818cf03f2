// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/balloon.hpp"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

constexpr std::array<uint16_t, 4> kQueueMaxSizes = {128, 128, 8, 64};
constexpr uint16_t kStatisticsQueue = 2;  // if it exists
constexpr uint64_t kPageBytes = 1ULL << VIRTIO_BALLOON_PFN_SHIFT;
constexpr uint64_t kOffered =
    1ULL << VIRTIO_BALLOON_F_STATS_VQ | 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
    1ULL << VIRTIO_BALLOON_F_REPORTING | 1ULL << VIRTIO_F_IN_ORDER | 1ULL << VIRTIO_F_RING_RESET;

bool has(uint64_t features, int bit) { return (features & 1ULL << bit) != 0; }

// The page numbers of a request, sorted: drivers send adjacent pages, in either direction.
std::vector<uint32_t> page_numbers(const Chain& chain) {
  const size_t count =
      std::min<size_t>(chain.readable_bytes() / sizeof(uint32_t), Balloon::kMaxPagesPerRequest);
  std::vector<uint32_t> pages(count);
  copy_from(chain.readable(), 0, std::as_writable_bytes(std::span(pages)));
  std::ranges::sort(pages);
  return pages;
}

// Releases adjacent pages in one call, and skips pages outside of memory.
void release_pages(memory::GuestMemory& memory, std::span<const uint32_t> pages) {
  for (size_t i = 0; i < pages.size();) {
    const uint64_t first = pages[i];
    uint64_t end = first + 1;
    for (++i; i < pages.size() && pages[i] <= end; ++i) end = uint64_t{pages[i]} + 1;
    const auto range =
        memory.slice(memory::GuestAddress{first * kPageBytes}, (end - first) * kPageBytes);
    if (range) {
      memory.release(*range);
      continue;
    }
    // A range over the end or a hole: release its pages one by one.
    for (uint64_t page = first; page < end; ++page) {
      const auto one = memory.slice(memory::GuestAddress{page * kPageBytes}, kPageBytes);
      if (one) memory.release(*one);
    }
  }
}

}  // namespace

Balloon::Balloon(memory::GuestMemory& memory, uint32_t target_pages) : memory_(memory) {
  config_.num_pages = state_.target_pages = target_pages;
}

uint32_t Balloon::type() const { return VIRTIO_ID_BALLOON; }

uint64_t Balloon::features() const { return kOffered; }

std::span<const uint16_t> Balloon::queue_max_sizes() const { return kQueueMaxSizes; }

void Balloon::read_config(uint64_t offset, std::span<std::byte> data) const {
  const std::lock_guard lock(state_mutex_);
  // The fields after these belong to features that are not offered.
  constexpr size_t kShown = offsetof(virtio_balloon_config, free_page_hint_cmd_id);
  read_config_bytes(std::as_bytes(std::span(&config_, 1)).first(kShown), offset, data);
}

// The driver may only write `actual` (5.5.6).
void Balloon::write_config(uint64_t offset, std::span<const std::byte> data) {
  if (offset != offsetof(virtio_balloon_config, actual) || data.size() != sizeof(uint32_t)) return;
  const std::lock_guard lock(state_mutex_);
  uint32_t actual;
  std::memcpy(&actual, data.data(), sizeof actual);
  config_.actual = state_.actual_pages = actual;
}

uint32_t Balloon::config_generation() const {
  const std::lock_guard lock(state_mutex_);
  return config_generation_;
}

void Balloon::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  {
    const std::lock_guard state_lock(state_mutex_);
    interrupt_ = activation.interrupt;
    backlog_ = activation.backlog;
  }
  queues_.start(std::move(activation));
  for (uint16_t index = 0; index < kQueueMaxSizes.size(); ++index) serve(index);
}

void Balloon::notify(uint16_t index) {
  const std::lock_guard lock(mutex_);
  serve(index);
}

void Balloon::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.stop(index);
  if (role_of(index) == Role::kStatistics) holds_statistics_ = false;
}

void Balloon::start_queue(uint16_t index, Queue queue) {
  const std::lock_guard lock(mutex_);
  queues_.start(index, std::move(queue));
  serve(index);
}

void Balloon::reset() {
  const std::lock_guard lock(mutex_);
  queues_.stop();
  holds_statistics_ = false;
  const std::lock_guard state_lock(state_mutex_);
  interrupt_ = nullptr;
  backlog_ = nullptr;
  asked_for_statistics_ = false;
  config_.actual = state_.actual_pages = 0;
}

void Balloon::set_target(uint32_t pages) {
  const std::lock_guard lock(state_mutex_);
  if (pages == state_.target_pages) return;
  config_.num_pages = state_.target_pages = pages;
  ++config_generation_;
  if (interrupt_ != nullptr) interrupt_->config_changed();
}

void Balloon::ask_for_statistics() {
  const std::lock_guard lock(state_mutex_);
  if (backlog_ == nullptr) return;
  asked_for_statistics_ = true;
  backlog_->serve_soon(kStatisticsQueue);
}

BalloonState Balloon::state() const {
  const std::lock_guard lock(state_mutex_);
  return state_;
}

Balloon::Role Balloon::role_of(uint16_t index) const {
  if (index == 0) return Role::kInflate;
  if (index == 1) return Role::kDeflate;
  const bool statistics = has(queues_.features(), VIRTIO_BALLOON_F_STATS_VQ);
  const bool reporting = has(queues_.features(), VIRTIO_BALLOON_F_REPORTING);
  if (index == kStatisticsQueue && statistics) return Role::kStatistics;
  return index == (statistics ? 3 : 2) && reporting ? Role::kReporting : Role::kNone;
}

void Balloon::serve(uint16_t index) {
  queues_.begin_turn();
  switch (role_of(index)) {
    case Role::kInflate:
      return serve_pages(index, true);
    case Role::kDeflate:
      return serve_pages(index, false);
    case Role::kStatistics:
      return serve_statistics(index);
    case Role::kReporting:
      return serve_reporting(index);
    case Role::kNone:
      return;
  }
}

void Balloon::serve_pages(uint16_t index, bool inflate) {
  while (auto chain = queues_.pop(index)) {
    uint32_t pages = 0;
    if (inflate) {
      const auto numbers = page_numbers(*chain);
      release_pages(memory_, numbers);
      pages = static_cast<uint32_t>(numbers.size());
    }
    queues_.complete(index, std::move(*chain), 0);
    for (; pages > kUsualPagesPerRequest; pages -= kUsualPagesPerRequest) {
      if (!queues_.spend(index)) return;
    }
  }
}

// The driver always has one buffer here, which stays in the queue until new statistics are
// requested (5.5.6.3).
void Balloon::serve_statistics(uint16_t index) {
  if (holds_statistics_) return_statistics(index);
  if (holds_statistics_) return;
  auto chain = queues_.pop(index);  // on an empty queue this makes the driver notify
  if (!chain) return;
  take_statistics(*chain);
  holds_statistics_ = true;
  queues_.put_back(index, std::move(*chain));
}

// Returns the buffer if new statistics were requested.
void Balloon::return_statistics(uint16_t index) {
  const std::lock_guard lock(state_mutex_);
  if (!asked_for_statistics_) return;
  auto chain = queues_.pop(index);
  if (!chain) return;
  asked_for_statistics_ = holds_statistics_ = false;
  queues_.complete(index, std::move(*chain), 0);
}

void Balloon::take_statistics(const Chain& chain) {
  const size_t count =
      std::min(chain.readable_bytes() / sizeof(virtio_balloon_stat), kMaxStatistics);
  const std::lock_guard lock(state_mutex_);
  state_.statistics.clear();
  for (size_t i = 0; i < count; ++i) {
    const auto one =
        object_from<virtio_balloon_stat>(chain.readable(), i * sizeof(virtio_balloon_stat));
    if (one) state_.statistics[one->tag] = one->val;
  }
  ++state_.statistics_count;
  asked_for_statistics_ = false;
}

// Each writable buffer is a range of free memory (5.5.6.7).
void Balloon::serve_reporting(uint16_t index) {
  while (auto chain = queues_.pop(index)) {
    uint64_t released = 0;
    for (const iovec& buffer : chain->writable()) {
      released += memory_.release({static_cast<std::byte*>(buffer.iov_base), buffer.iov_len});
    }
    {
      const std::lock_guard lock(state_mutex_);
      state_.reported_bytes += released;
    }
    queues_.complete(index, std::move(*chain), 0);
  }
}

}  // namespace vmm::virtio
