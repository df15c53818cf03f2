// SPDX-License-Identifier: GPL-2.0-only
//
// One epoll thread per machine, for everything that does not start with a guest's exit: bytes from
// the host for a console, the timer that drains the coalesced ring. machine/ owns it and declares
// it before the devices, which add and remove their descriptors. Callbacks run on the loop's
// thread; add, modify, remove and stop may be called on any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/unique_fd.hpp"

namespace vmm::base {

class EventLoop {
 public:
  // Gets the EPOLL* bits that are ready. Must not throw.
  using Callback = std::function<void(uint32_t events)>;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // The caller keeps the descriptor and must remove it before closing it.
  void add(int fd, uint32_t events, Callback callback);

  // EPOLLHUP and EPOLLERR are always delivered, whatever `events` is: on those, remove the
  // descriptor.
  void modify(int fd, uint32_t events);

  // Once it returns, the callback is not running and will not run again (except when called from
  // that very callback, which then is its last run). Hold no lock that the callback takes.
  void remove(int fd);

  // Ends the thread; no callback runs after it returns. The destructor does the same.
  void stop();

 private:
  struct Source {
    uint64_t id;
    Callback callback;
  };

  void run();
  void dispatch(uint64_t id, uint32_t events);

  UniqueFd epoll_;
  UniqueFd wakeup_;
  std::mutex mutex_;
  std::condition_variable idle_;
  uint64_t next_id_ = 1;
  uint64_t running_id_ = 0;
  std::unordered_map<int, uint64_t> id_of_fd_;
  std::unordered_map<uint64_t, std::shared_ptr<Source>> sources_;
  std::thread thread_;
};

}  // namespace vmm::base
