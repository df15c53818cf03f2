// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/block/pace.hpp"

#include <doctest/doctest.h>

namespace vmm::test {
namespace {

using namespace std::chrono_literals;
using virtio::Pace;

struct Driver {
  // Notifies until it has to wait, at most `limit` times; returns how many were served at once.
  int until_wait(int limit = 10'000) {
    for (int served = 0; served < limit; ++served) {
      now += interval;
      wait = pace.notified(now);
      if (wait) return served;
    }
    return limit;
  }

  Pace pace;
  Pace::Time now{1s};
  Pace::Duration interval = 100us;
  std::optional<Pace::Duration> wait;
};

}  // namespace

TEST_CASE_FIXTURE(Driver,
                  "nearly all notifications of a driver with one request are served at once") {
  int served = 0;
  int waited = 0;
  while (served < 10'000) {
    served += until_wait();
    pace.gathered(1);
    ++waited;
  }
  CHECK(waited <= 10'000 / 200);
  CHECK(waited >= 10);  // trials go on, if seldom
}

TEST_CASE_FIXTURE(Driver, "a queue goes on gathering while that is worth it") {
  CHECK(until_wait() < 100);
  for (int i = 0; i < 50; ++i) {
    pace.gathered(32);
    CHECK(until_wait() == 0);
  }
  // A single lone request now and then does not end gathering.
  pace.gathered(1);
  CHECK(until_wait() == 0);
  pace.gathered(32);
  CHECK(until_wait() == 0);
  for (int i = 0; i < 3; ++i) {
    pace.gathered(1);
    static_cast<void>(until_wait());
  }
  pace.gathered(1);
  CHECK(until_wait() > 10);
}

TEST_CASE_FIXTURE(Driver, "it waits for about as long as the driver takes for two requests") {
  static_cast<void>(until_wait());
  CHECK(*wait > 150us);
  CHECK(*wait < 250us);
}

TEST_CASE_FIXTURE(Driver, "no wait is long, however slow the driver is, nor too short to be one") {
  interval = 10s;
  static_cast<void>(until_wait());
  CHECK(*wait == 1ms);
  pace.gathered(1);
  interval = 1ns;
  for (int i = 0; i < 10; ++i) {
    static_cast<void>(until_wait());
    pace.gathered(1);
  }
  CHECK(*wait == 20us);
}

TEST_CASE_FIXTURE(Driver, "notifications that come while requests gather wait with them") {
  static_cast<void>(until_wait());
  for (int i = 0; i < 1000; ++i) CHECK(until_wait() == 0);
}

}  // namespace vmm::test
