// SPDX-License-Identifier: GPL-2.0-only
#include "base/event_source.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace vmm::base {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  EventLoop loop;
  std::atomic<int> told = 0;
  EventSource source{loop, [this] { ++told; }};

  void write() const { REQUIRE(eventfd_write(source.fd(), 1) == 0); }
  bool hears(int times) const {
    for (int tries = 0; tries < 5000 && told < times; ++tries) std::this_thread::sleep_for(1ms);
    return told == times;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what is written to a source is told") {
  write();
  CHECK(hears(1));
  write();
  CHECK(hears(2));
}

TEST_CASE_FIXTURE(Fixture, "a source that is passed on is another's to read") {
  source.pass_on();
  write();
  std::this_thread::sleep_for(20ms);
  CHECK(told == 0);
  eventfd_t count = 0;
  CHECK(eventfd_read(source.fd(), &count) == 0);
  source.take_back();
  std::this_thread::sleep_for(20ms);
  CHECK(told == 0);
}

TEST_CASE_FIXTURE(Fixture, "what nobody read meanwhile is told when a source is taken back") {
  source.pass_on();
  write();
  source.take_back();
  CHECK(hears(1));
}

}  // namespace vmm::base
