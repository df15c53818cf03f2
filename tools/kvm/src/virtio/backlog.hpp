// SPDX-License-Identifier: GPL-2.0-only
//
// Serves the queues of one device a moment later, on a thread of its own: what one call of the
// device left over, so that no guest keeps a thread in a device for ever, and what is better
// gathered first. A Session owns one and hands it to its device with the queues; the device calls
// it on any thread and may hold its own mutex meanwhile. The thread starts with the first use. It
// holds nothing while it calls `serve`, which may wait for the host.
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
  // Whether the machine wants its vCPU threads back, because it pauses or stops.
  using Leave = std::function<bool()>;

  // Neither may throw.
  Backlog(uint16_t queues, Serve serve, Leave leave = {});
  ~Backlog();
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

  // Serves queue `index` once, after `wait`; one that is waited for already keeps its time.
  void serve_after(uint16_t index, std::chrono::nanoseconds wait);

  // The same after a pause in which whoever waits for the device's mutex gets it.
  void serve_soon(uint16_t index) { serve_after(index, kPause); }

  // Whether the calling thread should begin no further request and leave the rest to
  // serve_soon(). The backlog's own thread, for which nobody waits, goes on; but it lets go of the
  // device after each request, which it has `begun` one of.
  bool must_leave(bool begun) const;

  // Nothing is served after it returns. The destructor does the same.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  // A mutex goes to whoever asks first, and a thread that asks again at once is always first.
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
