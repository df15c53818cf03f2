// SPDX-License-Identifier: GPL-2.0-only
//
// A periodic call on the event loop's thread. machine/ owns the one that drains coalesced writes.
#pragma once

#include <chrono>
#include <functional>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace vmm::machine {

class Timer {
 public:
  Timer(base::EventLoop& loop, std::chrono::milliseconds period, std::function<void()> callback);
  // When it returns, the callback is no longer running.
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  base::EventLoop& loop_;
  base::UniqueFd fd_;
};

}  // namespace vmm::machine
