// SPDX-License-Identifier: GPL-2.0-only
#include "machine/pause.hpp"

namespace vmm::machine {

void Pause::begin() {
  const std::lock_guard lock(mutex_);
  if (!abandoned_) wanted_.store(true, std::memory_order_release);
}

void Pause::end() {
  const std::lock_guard lock(mutex_);
  wanted_.store(false, std::memory_order_release);
  changed_.notify_all();
}

void Pause::abandon() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  end();
}

void Pause::wait_out() {
  std::unique_lock lock(mutex_);
  ++waiting_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !wanted(); });
  --waiting_;
}

bool Pause::wait_for(size_t threads, std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [&] { return waiting_ >= threads || !wanted(); });
}

}  // namespace vmm::machine
