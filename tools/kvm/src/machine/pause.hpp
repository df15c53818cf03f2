// SPDX-License-Identifier: GPL-2.0-only
//
// A pause of the machine: vCPU threads wait here, out of the guest, until it is over. machine/ owns
// one; whoever begins a pause also kicks the vCPUs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace vmm::machine {

class Pause {
 public:
  bool wanted() const { return wanted_.load(std::memory_order_acquire); }

  void begin();
  void end();
  // Ends it, and no other begins.
  void abandon();

  // A vCPU's thread.
  void wait_out();

  // Whether `threads` wait, or the pause is over, before `timeout` has passed.
  bool wait_for(size_t threads, std::chrono::nanoseconds timeout);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> wanted_{false};
  bool abandoned_ = false;
  size_t waiting_ = 0;
};

}  // namespace vmm::machine
