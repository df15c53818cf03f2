// SPDX-License-Identifier: GPL-2.0-only
#include "machine/parts/deadline.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "base/error.hpp"

namespace vmm::machine {

using std::chrono::nanoseconds;

Deadline::Deadline(base::EventLoop& loop, clockid_t clock, std::function<void()> callback)
    : loop_(loop),
      fd_(base::check(timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create")) {
  loop_.add(fd_.get(), EPOLLIN, [fd = fd_.get(), call = std::move(callback)](uint32_t) {
    uint64_t expirations = 0;
    if (read(fd, &expirations, sizeof expirations) > 0) call();
  });
}

Deadline::~Deadline() { loop_.remove(fd_.get()); }

void Deadline::set(std::optional<nanoseconds> time) {
  itimerspec spec{};
  if (time) {
    // Zero would mean "never".
    const nanoseconds moment = std::max(*time, nanoseconds(1));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(moment);
    spec.it_value.tv_sec = seconds.count();
    spec.it_value.tv_nsec = (moment - seconds).count();
  }
  base::check(timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr), "timerfd_settime");
}

}  // namespace vmm::machine
