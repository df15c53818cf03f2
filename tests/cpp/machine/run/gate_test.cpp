// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/gate.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("a pause lasts until it is ended, for every thread that came to it") {
  Gate gate;
  gate.begin_pause();
  std::vector<std::thread> threads;
  std::atomic<int> over = 0;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      gate.wait_out_pause();
      ++over;
    });
  }
  CHECK(gate.wait_for_paused(3, 10s));
  CHECK_FALSE(gate.wait_for_paused(4, 1ms));
  CHECK(over == 0);
  gate.end_pause();
  for (std::thread& thread : threads) thread.join();
  CHECK(over == 3);
  CHECK(gate.wait_for_paused(3, 0s));  // it is over
}

TEST_CASE("a machine that stops is not paused again, and nobody waits for room in it") {
  Gate gate;
  gate.begin_pause();
  std::thread waiting([&] { gate.wait_out_pause(); });
  CHECK(gate.wait_for_paused(1, 10s));
  gate.open_for_good();
  waiting.join();
  gate.begin_pause();
  CHECK_FALSE(gate.pausing());
  gate.wait_out_pause();
  gate.output_filled();
  CHECK_FALSE(gate.wait_for_room());
}

TEST_CASE("a wait for room ends when the last full output has some") {
  Gate gate;
  CHECK(gate.wait_for_room());
  gate.output_filled();
  gate.output_filled();
  CHECK(gate.output_full());
  std::thread waiting([&] { CHECK(gate.wait_for_room()); });
  gate.output_emptied();
  CHECK(gate.output_full());
  gate.output_emptied();
  waiting.join();
  CHECK_FALSE(gate.output_full());
}

TEST_CASE("a pause and the machine's stop end a wait for room") {
  for (const bool stop : {false, true}) {
    Gate gate;
    gate.output_filled();
    std::thread waiting([&] { CHECK_FALSE(gate.wait_for_room()); });
    if (stop) {
      gate.open_for_good();
    } else {
      gate.begin_pause();
    }
    waiting.join();
  }
}

}  // namespace vmm::machine
