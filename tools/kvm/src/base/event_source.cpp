// SPDX-License-Identifier: GPL-2.0-only
#include "base/event_source.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <utility>

#include "base/error.hpp"

namespace vmm::base {

EventSource::EventSource(EventLoop& loop, std::function<void()> tell)
    : loop_(loop), event_(check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  loop_.add(fd(), EPOLLIN, [this, tell = std::move(tell)](uint32_t) {
    eventfd_t count;
    if (eventfd_read(fd(), &count) == 0) tell();
  });
}

EventSource::~EventSource() { loop_.remove(fd()); }

void EventSource::pass_on() { loop_.modify(fd(), 0); }

void EventSource::take_back() { loop_.modify(fd(), EPOLLIN); }

}  // namespace vmm::base
