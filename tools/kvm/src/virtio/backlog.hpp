// SPDX-License-Identifier: GPL-2.0-only
//
// Serves the queues of one device a little later, on its own thread: requests that one call of the
// device left over, so that no guest keeps a thread in a device for ever, and requests that are
// better gathered first. A Session owns one and passes it to its device with the queues; the device
// calls it on any thread and may hold its own mutex meanwhile. The thread starts with the first
// use. It holds no lock while it calls `serve`, which may wait for the host.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace vmm::virtio {

class Backlog {
 public:
  using Serve = std::function<void(uint16_t index)>;
  // Returns whether vCPU threads should leave the device because the machine pauses or stops.
  using Leave = std::function<bool()>;

  // Neither function may throw.
  Backlog(uint16_t queues, Serve serve, Leave leave = {});
  ~Backlog();
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

  // Serves queue `index` once, after `wait`. If that is scheduled already, its time does not
  // change.
  void serve_after(uint16_t index, std::chrono::nanoseconds wait);

  // Serves it after a pause in which other threads can take the device's mutex.
  void serve_soon(uint16_t index) { serve_after(index, kPause); }

  // Whether the calling thread should begin no further request and leave the rest to serve_soon().
  // The backlog's own thread, for which the machine does not wait, continues, but leaves the device
  // after each request, that is, once it has `begun` one.
  bool must_leave(bool begun) const;

  // After it returns, no queue is served. The destructor does the same.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  // A thread that unlocks a mutex and locks it again at once would always get it before waiting
  // threads.
  static constexpr std::chrono::microseconds kPause{50};

  void run();
  std::optional<uint16_t> earliest() const;

  const Serve serve_;
  const Leave leave_;
  std::atomic<std::thread::id> runner_{};  // the thread, once it runs
  std::mutex mutex_;                       // guards all that follows
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<std::optional<Clock::time_point>> due_;
  std::thread thread_;
};

}  // namespace vmm::virtio
