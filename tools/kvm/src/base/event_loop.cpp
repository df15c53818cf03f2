// SPDX-License-Identifier: GPL-2.0-only
#include "base/event_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cassert>
#include <cerrno>

#include "base/error.hpp"
#include "base/signals.hpp"

namespace vmm::base {
namespace {

constexpr uint64_t kWakeupId = 0;

epoll_event interest(uint32_t events, uint64_t id) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  return event;
}

}  // namespace

EventLoop::EventLoop()
    : epoll_(check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wakeup_(check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  epoll_event event = interest(EPOLLIN, kWakeupId);
  check(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.get(), &event), "epoll_ctl(ADD)");
  thread_ = std::thread([this] { run(); });
}

EventLoop::~EventLoop() { stop(); }

void EventLoop::add(int fd, uint32_t events, Callback callback) {
  const std::lock_guard lock(mutex_);
  const uint64_t id = next_id_++;
  epoll_event event = interest(events, id);
  check(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl(ADD)");
  id_of_fd_[fd] = id;
  sources_[id] = std::make_shared<Source>(Source{id, std::move(callback)});
}

void EventLoop::modify(int fd, uint32_t events) {
  const std::lock_guard lock(mutex_);
  const auto known = id_of_fd_.find(fd);
  if (known == id_of_fd_.end()) return;
  epoll_event event = interest(events, known->second);
  check(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event), "epoll_ctl(MOD)");
}

void EventLoop::remove(int fd) {
  std::unique_lock lock(mutex_);
  const auto known = id_of_fd_.find(fd);
  if (known == id_of_fd_.end()) return;
  const uint64_t id = known->second;
  id_of_fd_.erase(known);
  sources_.erase(id);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  if (std::this_thread::get_id() == thread_.get_id()) return;
  idle_.wait(lock, [&] { return running_id_ != id; });
}

void EventLoop::stop() {
  if (!thread_.joinable()) return;
  assert(std::this_thread::get_id() != thread_.get_id());
  const uint64_t one = 1;
  if (::write(wakeup_.get(), &one, sizeof one) < 0) assert(errno == EAGAIN);
  thread_.join();
}

void EventLoop::run() {
  block_signals();
  std::array<epoll_event, 16> events;
  for (;;) {
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (count < 0) {
      assert(errno == EINTR);
      continue;
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kWakeupId) return;
      dispatch(event.data.u64, event.events);
    }
  }
}

void EventLoop::dispatch(uint64_t id, uint32_t events) {
  std::shared_ptr<Source> source;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sources_.find(id);
    if (found == sources_.end()) return;  // removed since epoll_wait() collected it
    source = found->second;
    running_id_ = id;
  }
  source->callback(events);
  {
    const std::lock_guard lock(mutex_);
    running_id_ = 0;
  }
  idle_.notify_all();
}

}  // namespace vmm::base
