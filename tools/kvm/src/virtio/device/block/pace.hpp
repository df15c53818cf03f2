// SPDX-License-Identifier: GPL-2.0-only
//
// Decides whether a queue's requests are served one by one when they are notified, or gathered for
// a while and served together. A single request completes soonest on the vCPU that notifies. But if
// a driver would have many in flight, each then costs a notification and an interrupt, because it
// completes before the next is added. So now and then a notification waits a little: if more
// requests arrive, the queue continues to gather, until no more arrive. It only decides; the device
// waits and serves. One per queue, called under the queue's mutex.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace vmm::virtio {

class Pace {
 public:
  using Duration = std::chrono::nanoseconds;
  using Time = std::chrono::steady_clock::time_point;

  // For a notification, returns how long to gather; nothing means to serve it now.
  std::optional<Duration> notified(Time now);

  // Reports how many requests a gathering had collected.
  void gathered(size_t requests);

 private:
  void learn_interval(Time now);

  bool gathering_ = false;
  bool deep_ = false;
  int lone_ = 0;         // consecutive gatherings with too few requests
  int since_trial_ = 0;  // notifications
  int trial_every_ = 64;
  Time last_{};
  Duration interval_{};  // average time between notifications served at once
};

}  // namespace vmm::virtio
