// SPDX-License-Identifier: GPL-2.0-only
#include "base/event_loop.hpp"

#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <future>

namespace vmm::base {
namespace {

using namespace std::chrono_literals;

struct Event {
  UniqueFd fd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  void signal() const { eventfd_write(fd.get(), 1); }
  void clear() const {
    eventfd_t value = 0;
    eventfd_read(fd.get(), &value);
  }
};

}  // namespace

TEST_CASE("a ready descriptor runs its callback on the loop's thread") {
  EventLoop loop;
  const Event event;
  std::promise<std::thread::id> called;
  loop.add(event.fd.get(), EPOLLIN, [&](uint32_t events) {
    CHECK((events & EPOLLIN) != 0);
    event.clear();
    called.set_value(std::this_thread::get_id());
  });
  event.signal();
  auto result = called.get_future();
  REQUIRE(result.wait_for(5s) == std::future_status::ready);
  CHECK(result.get() != std::this_thread::get_id());
  loop.remove(event.fd.get());
}

TEST_CASE("no callback runs once remove has returned") {
  EventLoop loop;
  const Event event;
  std::atomic<int> calls = 0;
  std::atomic<bool> removed = false;
  std::atomic<bool> late = false;
  loop.add(event.fd.get(), EPOLLIN, [&](uint32_t) {
    ++calls;
    std::this_thread::sleep_for(1ms);
    if (removed) late = true;
  });
  event.signal();  // stays readable, so the callback runs again and again
  while (calls == 0) std::this_thread::yield();
  loop.remove(event.fd.get());
  removed = true;
  std::this_thread::sleep_for(5ms);
  CHECK_FALSE(late);
}

TEST_CASE("a callback may remove itself") {
  EventLoop loop;
  const Event event;
  std::promise<void> done;
  loop.add(event.fd.get(), EPOLLIN, [&](uint32_t) {
    loop.remove(event.fd.get());
    done.set_value();
  });
  event.signal();
  CHECK(done.get_future().wait_for(5s) == std::future_status::ready);
}

TEST_CASE("modify silences a descriptor and wakes it again") {
  EventLoop loop;
  const Event event;
  std::promise<void> called;
  loop.add(event.fd.get(), 0, [&](uint32_t) {
    event.clear();
    called.set_value();
  });
  event.signal();
  auto result = called.get_future();
  CHECK(result.wait_for(20ms) == std::future_status::timeout);
  loop.modify(event.fd.get(), EPOLLIN);
  CHECK(result.wait_for(5s) == std::future_status::ready);
  loop.remove(event.fd.get());
}

TEST_CASE("stop ends the thread, and removing afterwards is harmless") {
  EventLoop loop;
  const Event event;
  loop.add(event.fd.get(), EPOLLIN, [](uint32_t) {});
  loop.stop();
  loop.stop();
  loop.remove(event.fd.get());
}

}  // namespace vmm::base
