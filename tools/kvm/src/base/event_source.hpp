// SPDX-License-Identifier: GPL-2.0-only
//
// An eventfd that another party writes, mostly the host's kernel: the loop reads it and calls
// `tell` on its thread. While it is passed on, another reader (such as KVM's irqfd) takes the
// events and the loop does not wake up. A device owns one for each of its interrupts; any thread
// may pass it on.
#pragma once

#include <functional>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace vmm::base {

class EventSource {
 public:
  // The loop outlives it.
  EventSource(EventLoop& loop, std::function<void()> tell);
  // Waits for a running `tell`: hold no lock that it takes.
  ~EventSource();
  EventSource(const EventSource&) = delete;
  EventSource& operator=(const EventSource&) = delete;

  int fd() const { return event_.get(); }

  void pass_on();
  // Events that nobody read meanwhile are delivered.
  void take_back();

 private:
  EventLoop& loop_;
  const UniqueFd event_;
};

}  // namespace vmm::base
