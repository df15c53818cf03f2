// SPDX-License-Identifier: GPL-2.0-only
#include "backend/flusher.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "host_calls.hpp"

namespace vmm::test {
namespace {

using backend::Flusher;
using backend::IoRing;

// The kernel can't sync a pipe, but it can sync the file that replaces it.
struct Fixture {
  Fixture() : good(memfd_create("disk", 0)) {
    std::array<int, 2> ends;
    REQUIRE(pipe(ends.data()) == 0);
    file = base::UniqueFd(ends[0]);
    static_cast<void>(close(ends[1]));
  }
  void fix() const { REQUIRE(dup2(good.get(), file.get()) == file.get()); }

  base::UniqueFd good;
  base::UniqueFd file;
};

constexpr auto kFailed = std::errc::invalid_argument;

// Like a disk: a flush that would have to wait runs on a thread that may wait.
void flush(Flusher& flusher, IoRing& ring, IoRing::Done done) {
  if (!flusher.begin(ring, done)) done(flusher.flush());
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a flush that failed is final") {
  Flusher flusher(file.get());
  CHECK(flusher.flush() == kFailed);
  fix();
  CHECK(flusher.flush() == kFailed);
  Flusher another(file.get());
  CHECK_FALSE(another.flush());
}

TEST_CASE_FIXTURE(Fixture, "a flush that failed in the ring is final, there and elsewhere") {
  base::EventLoop loop;
  Flusher flusher(file.get());
  const auto ring = IoRing::create(loop);
  if (ring == nullptr) return;
  std::vector<std::error_code> told;
  const auto note = [&](std::error_code error) { told.push_back(error); };
  IoRing::Done done = note;
  REQUIRE(flusher.begin(*ring, done));
  ring->drain();
  fix();
  CHECK_FALSE(flusher.begin(*ring, done));
  CHECK(flusher.flush() == kFailed);
  REQUIRE(told.size() == 1);
  CHECK(told[0] == kFailed);
}

TEST_CASE_FIXTURE(Fixture, "each of many flushes is answered once") {
  base::EventLoop loop;
  fix();
  Flusher flusher(file.get());
  const auto ring = IoRing::create(loop);
  if (ring == nullptr) return;
  constexpr int kThreads = 4;
  constexpr int kEach = 300;  // more than the ring holds
  std::atomic<int> told = 0;
  std::latch begun(kThreads);
  std::latch over(1);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      const auto note = [&](std::error_code error) { told += error ? 0 : 1; };
      for (int i = 0; i < kEach; ++i) {
        flush(flusher, *ring, note);
      }
      begun.count_down();
      over.wait();
    });
  }
  begun.wait();
  ring->drain();
  over.count_down();
  for (std::thread& thread : threads) thread.join();
  CHECK(told == kThreads * kEach);
}

TEST_CASE_FIXTURE(Fixture, "who waits for a flush that fails is told so, with no further one") {
  base::EventLoop loop;
  Flusher flusher(file.get());
  const auto ring = IoRing::create(loop);
  if (ring == nullptr) return;
  std::atomic<int> failed = 0;
  const auto note = [&](std::error_code error) { failed += error == kFailed ? 1 : 0; };
  for (int i = 0; i < 500; ++i) {
    flush(flusher, *ring, note);
  }
  ring->drain();
  CHECK(failed == 500);
}

TEST_CASE_FIXTURE(Fixture, "a call that waits is one sync, and none after a failure") {
  Flusher flusher(good.get());
  HostCalls calls("/proc/self/fd/" + std::to_string(good.get()));
  CHECK_FALSE(flusher.flush());
  calls.sync_fault = [](int) { return HostCalls::Fault::kRefused; };
  CHECK(flusher.flush() == std::errc::io_error);
  CHECK(flusher.flush() == std::errc::io_error);
  CHECK(calls.syncs == 2);
}

}  // namespace vmm::test
