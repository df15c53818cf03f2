// SPDX-License-Identifier: GPL-2.0-only
#include "machine/parts/timer.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/error.hpp"

namespace vmm::machine {

Timer::Timer(base::EventLoop& loop, std::chrono::milliseconds period,
             std::function<void()> callback)
    : loop_(loop),
      fd_(base::check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                      "timerfd_create")) {
  itimerspec spec{};
  spec.it_interval.tv_sec = period.count() / 1000;
  spec.it_interval.tv_nsec = period.count() % 1000 * 1'000'000;
  spec.it_value = spec.it_interval;
  base::check(timerfd_settime(fd_.get(), 0, &spec, nullptr), "timerfd_settime");
  loop_.add(fd_.get(), EPOLLIN, [fd = fd_.get(), call = std::move(callback)](uint32_t) {
    uint64_t expirations = 0;
    if (read(fd, &expirations, sizeof expirations) > 0) call();
  });
}

Timer::~Timer() { loop_.remove(fd_.get()); }

}  // namespace vmm::machine
