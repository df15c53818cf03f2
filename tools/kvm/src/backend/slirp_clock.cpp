// SPDX-License-Identifier: GPL-2.0-only
#include "backend/slirp_clock.hpp"

#include <algorithm>
#include <mutex>

namespace vmm::backend::slirp {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr milliseconds kExpiry{240'000};

struct State {
  std::mutex mutex;
  nanoseconds ahead{0};
  steady_clock::time_point moved{};
};

State& state() {
  static State only;
  return only;
}

}  // namespace

int64_t Clock::now_ns() {
  State& clock = state();
  const std::lock_guard lock(clock.mutex);
  return (steady_clock::now().time_since_epoch() + clock.ahead).count();
}

void Clock::end_idle(milliseconds idle) {
  State& clock = state();
  const std::lock_guard lock(clock.mutex);
  const auto now = steady_clock::now();
  if (now - clock.moved < idle) return;
  clock.moved = now;
  clock.ahead += std::max(kExpiry - idle, milliseconds(0));
}

}  // namespace vmm::backend::slirp
