// SPDX-License-Identifier: GPL-2.0-only
//
// Serves queues a moment after they were notified, on a thread of its own. A device owns one,
// and stops it before it takes down what serving needs; the thread starts with the first use.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace vmm::virtio {

class Gatherer {
 public:
  using Serve = std::function<void(uint16_t index)>;

  // `serve` must not throw.
  Gatherer(uint16_t queues, Serve serve);
  ~Gatherer();
  Gatherer(const Gatherer&) = delete;
  Gatherer& operator=(const Gatherer&) = delete;

  // Serves queue `index` once, after `wait`; one that is waited for already keeps its time.
  void serve_after(uint16_t index, std::chrono::nanoseconds wait);

  // Nothing is served after it returns. The destructor does the same.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  std::optional<uint16_t> earliest() const;

  const Serve serve_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<std::optional<Clock::time_point>> due_;
  std::thread thread_;
};

}  // namespace vmm::virtio
