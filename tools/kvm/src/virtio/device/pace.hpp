// SPDX-License-Identifier: GPL-2.0-only
//
// Whether a queue's requests are served where they are notified, one by one, or gathered for a
// while and served together. Alone a request is answered soonest on the vCPU that notifies; of many
// that a driver would have under way at once, each then costs a notification and an interrupt,
// because it is answered before the next is made. So now and then a notification waits a moment: if
// others join it, the queue's go on being gathered; as soon as none do, they don't. Decides only;
// the device waits and serves. One per queue, called under the queue's mutex.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace vmm::virtio {

class Pace {
 public:
  using Duration = std::chrono::nanoseconds;
  using Time = std::chrono::steady_clock::time_point;

  // A notification came: nothing if it is to be served now, else after how long.
  std::optional<Duration> notified(Time now);

  // `requests` had gathered when they were served.
  void gathered(size_t requests);

 private:
  void learn_interval(Time now);

  bool gathering_ = false;
  bool deep_ = false;
  int lone_ = 0;         // gatherings in a row that weren't worth it
  int since_trial_ = 0;  // notifications
  int trial_every_ = 64;
  Time last_{};
  Duration interval_{};  // between notifications that were served at once, on average
};

}  // namespace vmm::virtio
