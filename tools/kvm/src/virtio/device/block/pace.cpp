// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/block/pace.hpp"

#include <algorithm>

namespace vmm::virtio {
namespace {

using std::chrono::microseconds;

constexpr size_t kWorthGathering = 4;  // requests
constexpr int kLoneAllowed = 2;
constexpr int kTrialOften = 64;  // notifications
constexpr int kTrialSeldom = 256;
// The window is long enough for some more requests at the driver's present rate.
constexpr int kWindowIntervals = 2;
constexpr Pace::Duration kWindowLeast = microseconds(20);
constexpr Pace::Duration kWindowMost = microseconds(1000);
constexpr int kAverageOver = 8;

}  // namespace

std::optional<Pace::Duration> Pace::notified(Time now) {
  if (!deep_ && !gathering_) {
    learn_interval(now);
    if (++since_trial_ < trial_every_) return std::nullopt;
    since_trial_ = 0;
  }
  gathering_ = true;
  return std::clamp(kWindowIntervals * interval_, kWindowLeast, kWindowMost);
}

void Pace::gathered(size_t requests) {
  gathering_ = false;
  if (requests >= kWorthGathering) {
    deep_ = true;
    lone_ = 0;
    trial_every_ = kTrialOften;
    return;
  }
  if (deep_ && ++lone_ <= kLoneAllowed) return;
  if (!deep_) trial_every_ = std::min(2 * trial_every_, kTrialSeldom);
  deep_ = false;
  lone_ = 0;
  last_ = {};
}

void Pace::learn_interval(Time now) {
  // An idle driver's pause says nothing about its speed.
  const Duration since = std::min<Duration>(now - last_, kWindowMost);
  if (last_ != Time{}) interval_ += (since - interval_) / kAverageOver;
  last_ = now;
}

}  // namespace vmm::virtio
