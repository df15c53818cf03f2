// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/suspend.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

constexpr size_t kVcpus = 3;

struct RecordingHardware : Suspend::Hardware {
  void cut_power() override {
    ++cuts;
    if (broken) throw std::runtime_error("broken");
  }
  bool restore_power() override {
    ++restores;
    return well;
  }
  void lost() override { ++losses; }
  std::atomic<int> cuts = 0;
  std::atomic<int> restores = 0;
  std::atomic<int> losses = 0;
  bool well = true;
  bool broken = false;
};

// vCPU threads of a machine that may sleep or be paused.
struct Fixture {
  RecordingHardware hardware;
  Gate gate;
  Suspend suspend{hardware, kVcpus};
  std::vector<std::thread> threads;
  std::atomic<int> back = 0;

  void start(size_t count) {
    for (size_t i = 0; i < count; ++i) threads.emplace_back([this] { live(); });
  }
  void live() {
    while (gate.pausing() || suspend.wanted()) {
      if (gate.pausing()) {
        gate.wait_out_pause();
      } else {
        suspend.wait_out(gate);
      }
    }
    ++back;
  }
  void join() {
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }
  // Pauses the machine while all vCPUs sleep.
  void pause_asleep() {
    suspend.begin();
    start(kVcpus);
    wait_for_cut();
    gate.begin_pause();
    suspend.stir();
    CHECK(gate.wait_for_paused(kVcpus, 10s));
  }

  void wait_for_cut() const {
    while (hardware.cuts == 0) std::this_thread::yield();
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the power goes with the last vCPU, and returns before the first") {
  suspend.begin();
  start(kVcpus - 1);
  CHECK(hardware.cuts == 0);
  start(1);
  wait_for_cut();
  CHECK(hardware.restores == 0);
  CHECK(back == 0);
  suspend.wake();
  CHECK(hardware.restores == 1);
  join();
  CHECK(back == kVcpus);
  CHECK(hardware.cuts == 1);
  CHECK(hardware.losses == 0);

  suspend.begin();  // and again
  start(kVcpus);
  suspend.wake();
  join();
  CHECK(hardware.cuts == 2);
  CHECK(hardware.restores == 2);
}

TEST_CASE_FIXTURE(Fixture, "a wake-up before the sleep has begun is not lost") {
  suspend.wake();
  CHECK(hardware.restores == 0);
  suspend.begin();
  start(kVcpus);
  join();
  CHECK(hardware.cuts == 1);
  CHECK(hardware.restores == 1);
}

TEST_CASE_FIXTURE(Fixture, "a sleeping machine can be paused, woken meanwhile, and resumed") {
  pause_asleep();
  suspend.wake();
  CHECK(hardware.restores == 1);
  CHECK(back == 0);
  gate.end_pause();
  join();
  CHECK(hardware.cuts == 1);
}

TEST_CASE_FIXTURE(Fixture, "after a pause a machine sleeps on, without a second cut") {
  pause_asleep();
  gate.end_pause();
  CHECK(back == 0);
  suspend.wake();
  join();
  CHECK(hardware.cuts == 1);
  CHECK(hardware.restores == 1);
}

TEST_CASE_FIXTURE(Fixture, "a guest that can't go on is told of once, by whoever woke it") {
  hardware.well = false;
  suspend.begin();
  start(kVcpus);
  wait_for_cut();
  suspend.wake();
  CHECK(hardware.losses == 1);
  join();
  suspend.wake();  // early
  suspend.begin();
  start(kVcpus);
  join();
  CHECK(hardware.losses == 2);
}

TEST_CASE_FIXTURE(Fixture, "a machine that stops wakes all and never sleeps again") {
  suspend.begin();
  start(kVcpus - 1);
  suspend.abandon();
  join();
  CHECK(hardware.cuts == 0);
  suspend.begin();
  CHECK_FALSE(suspend.wanted());
}

TEST_CASE("hardware that fails is the exception of the vCPU that came last") {
  RecordingHardware hardware;
  hardware.broken = true;
  const Gate gate;
  Suspend suspend(hardware, 1);
  suspend.begin();
  CHECK_THROWS_AS(suspend.wait_out(gate), std::runtime_error);
  suspend.abandon();
  CHECK_FALSE(suspend.wanted());
}

}  // namespace vmm::machine
