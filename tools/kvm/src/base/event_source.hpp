// SPDX-License-Identifier: GPL-2.0-only
//
// An eventfd that somebody else writes, the host's kernel above all, to tell us something: the loop
// reads it and calls `tell`, on its thread. While it is passed on, whoever it was passed to reads
// it and we stay asleep. A device owns one for each of its interrupts; any thread may pass it on.
#pragma once

#include <functional>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace vmm::base {

class EventSource {
 public:
  // The loop outlives it.
  EventSource(EventLoop& loop, std::function<void()> tell);
  // Waits for `tell`, should it be running: hold no lock that it takes.
  ~EventSource();
  EventSource(const EventSource&) = delete;
  EventSource& operator=(const EventSource&) = delete;

  int fd() const { return event_.get(); }

  void pass_on();
  // What was written since and read by nobody is told, too.
  void take_back();

 private:
  EventLoop& loop_;
  const UniqueFd event_;
};

}  // namespace vmm::base
