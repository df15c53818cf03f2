// SPDX-License-Identifier: GPL-2.0-only
//
// Keeps vCPU threads out of the guest during a pause of the machine, or while an output is full.
// The threads wait here, between an exit and the next entry, and hold no lock meanwhile; so no
// other thread waits for them, and a pause or the machine's stop ends every wait for room. machine/
// owns one. Outputs report to it on any thread, under their own mutex; the code that begins a pause
// also kicks the vCPUs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace vmm::machine {

class Gate {
 public:
  bool pausing() const { return pausing_.load(std::memory_order_acquire); }

  void begin_pause();
  void end_pause();
  // The machine stops: from now on no thread waits here.
  void open_for_good();

  // A vCPU's thread.
  void wait_out_pause();

  // Waits until `threads` threads wait or the pause is over. False when `timeout` has passed first.
  bool wait_for_paused(size_t threads, std::chrono::nanoseconds timeout);

  // An output calls the first when it is full, and later the second, once, when it has room again.
  void output_filled();
  void output_emptied();
  bool output_full() const { return full_outputs_.load(std::memory_order_relaxed) != 0; }

  // On a vCPU's thread. True once no output is full; false when a pause or the stop comes first.
  bool wait_for_room();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> pausing_{false};
  std::atomic<size_t> full_outputs_{0};
  bool open_for_good_ = false;
  size_t waiting_ = 0;
};

}  // namespace vmm::machine
