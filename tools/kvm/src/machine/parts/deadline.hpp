// SPDX-License-Identifier: GPL-2.0-only
//
// A call on the event loop's thread at one moment of one of the host's clocks, which may be set
// anew on any thread. machine/ owns those of devices with an alarm or a timer.
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
  // The callback is not running any more when it returns.
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // At this moment, since the clock's beginning, or at once if it is past; nothing: never. A call
  // for the moment before may still be on its way.
  void set(std::optional<std::chrono::nanoseconds> time);

 private:
  base::EventLoop& loop_;
  base::UniqueFd fd_;
};

}  // namespace vmm::machine
