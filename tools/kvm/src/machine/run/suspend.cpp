// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/suspend.hpp"

namespace vmm::machine {

void Suspend::begin() {
  const std::lock_guard lock(mutex_);
  if (!abandoned_) wanted_.store(true, std::memory_order_release);
}

void Suspend::wake() {
  bool well = true;
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    if (wanted() && without_power_) well = end();
  }
  if (!well) hardware_.lost();
}

bool Suspend::end() {
  const bool well = hardware_.restore_power();
  woken_ = without_power_ = false;
  wanted_.store(false, std::memory_order_release);
  changed_.notify_all();
  return well;
}

void Suspend::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  wanted_.store(false, std::memory_order_release);
  changed_.notify_all();
}

void Suspend::stir() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Suspend::wait_out(const Gate& gate) {
  bool well = true;
  {
    std::unique_lock lock(mutex_);
    ++waiting_;
    if (wanted() && !without_power_ && waiting_ == vcpus_) {
      hardware_.cut_power();
      without_power_ = true;
      if (woken_) well = end();
    }
    changed_.wait(lock, [&] { return !wanted() || gate.pausing(); });
    --waiting_;
  }
  if (!well) hardware_.lost();
}

}  // namespace vmm::machine
