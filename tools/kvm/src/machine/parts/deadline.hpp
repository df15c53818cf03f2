// SPDX-License-Identifier: GPL-2.0-only
//
// Calls back on the event loop's thread at a given time of a host clock. The time may be changed on
// any thread. machine/ owns one for each device with an alarm or a timer.
#pragma once

#include <chrono>
#include <ctime>
#include <functional>
#include <optional>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace vmm::machine {

class Deadline {
 public:
  // `clock` is CLOCK_MONOTONIC or CLOCK_REALTIME. The loop outlives it. The callback
  // must not throw.
  Deadline(base::EventLoop& loop, clockid_t clock, std::function<void()> callback);
  // When it returns, the callback is no longer running.
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // Sets the time, counted from the clock's epoch; a past time means at once, nothing means never.
  // A call for the previous time may still come.
  void set(std::optional<std::chrono::nanoseconds> time);

 private:
  base::EventLoop& loop_;
  base::UniqueFd fd_;
};

}  // namespace vmm::machine
