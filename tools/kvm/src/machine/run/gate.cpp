// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/gate.hpp"

#include <cassert>

namespace vmm::machine {

void Gate::begin_pause() {
  const std::lock_guard lock(mutex_);
  if (!open_for_good_) pausing_.store(true, std::memory_order_release);
  changed_.notify_all();
}

void Gate::end_pause() {
  const std::lock_guard lock(mutex_);
  pausing_.store(false, std::memory_order_release);
  changed_.notify_all();
}

void Gate::open_for_good() {
  const std::lock_guard lock(mutex_);
  open_for_good_ = true;
  pausing_.store(false, std::memory_order_release);
  changed_.notify_all();
}

void Gate::wait_out_pause() {
  std::unique_lock lock(mutex_);
  ++waiting_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !pausing(); });
  --waiting_;
}

bool Gate::wait_for_paused(size_t threads, std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [&] { return waiting_ >= threads || !pausing(); });
}

void Gate::output_filled() {
  const std::lock_guard lock(mutex_);
  full_outputs_.fetch_add(1, std::memory_order_relaxed);
}

void Gate::output_emptied() {
  const std::lock_guard lock(mutex_);
  [[maybe_unused]] const size_t before = full_outputs_.fetch_sub(1, std::memory_order_relaxed);
  assert(before > 0);
  changed_.notify_all();
}

bool Gate::wait_for_room() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !output_full() || pausing() || open_for_good_; });
  return !output_full();
}

}  // namespace vmm::machine
