// SPDX-License-Identifier: GPL-2.0-only
#include "machine/pause.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("a pause lasts until it is ended, for every thread that came to it") {
  Pause pause;
  pause.begin();
  std::vector<std::thread> threads;
  std::atomic<int> over = 0;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      pause.wait_out();
      ++over;
    });
  }
  CHECK(pause.wait_for(3, 10s));
  CHECK_FALSE(pause.wait_for(4, 1ms));
  CHECK(over == 0);
  pause.end();
  for (std::thread& thread : threads) thread.join();
  CHECK(over == 3);
  CHECK(pause.wait_for(3, 0s));  // it is over
}

TEST_CASE("a machine that stops is not paused again") {
  Pause pause;
  pause.begin();
  std::thread waiting([&] { pause.wait_out(); });
  CHECK(pause.wait_for(1, 10s));
  pause.abandon();
  waiting.join();
  pause.begin();
  CHECK_FALSE(pause.wanted());
  pause.wait_out();
}

}  // namespace vmm::machine
