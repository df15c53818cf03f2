// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/backlog.hpp"

#include <utility>

#include "base/signals.hpp"

namespace vmm::virtio {

Backlog::Backlog(uint16_t queues, Serve serve, Leave leave)
    : serve_(std::move(serve)), leave_(std::move(leave)), due_(queues) {}

Backlog::~Backlog() { stop(); }

void Backlog::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Backlog::serve_after(uint16_t index, std::chrono::nanoseconds wait) {
  {
    const std::lock_guard lock(mutex_);
    if (due_[index] || stopping_) return;
    due_[index] = Clock::now() + wait;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
}

bool Backlog::must_leave(bool begun) const {
  return leave_ && leave_() && (begun || std::this_thread::get_id() != runner_.load());
}

std::optional<uint16_t> Backlog::earliest() const {
  std::optional<uint16_t> first;
  for (uint16_t index = 0; index < due_.size(); ++index) {
    if (due_[index] && (!first || *due_[index] < *due_[*first])) first = index;
  }
  return first;
}

void Backlog::run() {
  base::block_signals();
  runner_.store(std::this_thread::get_id());
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto index = earliest();
    if (!index) {
      changed_.wait(lock);
    } else if (const auto when = *due_[*index]; Clock::now() < when) {
      changed_.wait_until(lock, when);
    } else {
      due_[*index].reset();
      lock.unlock();
      serve_(*index);
      lock.lock();
    }
  }
}

}  // namespace vmm::virtio
