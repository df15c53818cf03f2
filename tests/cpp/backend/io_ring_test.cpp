// SPDX-License-Identifier: GPL-2.0-only
#include "backend/io_ring.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/event_source.hpp"
#include "eventually.hpp"

namespace vmm::test {
namespace {

constexpr size_t kBytes = 1 << 16;

struct Fixture {
  Fixture() : file(memfd_create("disk", 0)), ring(backend::IoRing::create(loop)) {
    REQUIRE(ftruncate(file.get(), kBytes) == 0);
    if (ring == nullptr) MESSAGE("this host has no io_uring");
  }

  // Both complete on the loop's thread; the ring's completion ends the wait.
  std::error_code wait_for_write(uint64_t offset, const std::string& text) {
    const iovec buffer{const_cast<char*>(text.data()), text.size()};
    std::error_code result = std::make_error_code(std::errc::timed_out);
    backend::IoRing::Done done = [&](std::error_code error) { result = error; };
    REQUIRE(ring->write(file.get(), offset, std::span(&buffer, 1), done));
    ring->drain();
    return result;
  }

  base::EventLoop loop;
  base::UniqueFd file;
  std::unique_ptr<backend::IoRing> ring;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what is written through the ring is read through it") {
  if (ring == nullptr) return;
  CHECK_FALSE(wait_for_write(100, "some words"));
  std::array<char, 4> first{};
  std::array<char, 6> second{};
  const std::array<iovec, 2> buffers{{{first.data(), 4}, {second.data(), 6}}};
  bool told = false;
  backend::IoRing::Done done = [&](std::error_code error) { told = !error; };
  REQUIRE(ring->read(file.get(), 100, buffers, done));
  ring->drain();
  CHECK(told);
  CHECK(std::string(first.data(), 4) + std::string(second.data(), 6) == "some words");
}

TEST_CASE_FIXTURE(Fixture, "an error of the file is told, and so is its end") {
  if (ring == nullptr) return;
  char byte = 0;
  const iovec buffer{&byte, 1};
  std::vector<std::error_code> told;
  backend::IoRing::Done done = [&](std::error_code error) { told.push_back(error); };
  backend::IoRing::Done again = done;
  REQUIRE(ring->read(file.get(), kBytes, std::span(&buffer, 1), done));
  ring->drain();
  REQUIRE(ring->read(-1, 0, std::span(&buffer, 1), again));
  ring->drain();
  REQUIRE(told.size() == 2);
  CHECK(told[0] == std::errc::io_error);
  CHECK(told[1] == std::errc::bad_file_descriptor);
}

TEST_CASE_FIXTURE(Fixture, "ends are told by the loop while nobody drains") {
  if (ring == nullptr) return;
  std::atomic<bool> told = false;
  std::atomic<bool> elsewhere = false;
  const auto here = std::this_thread::get_id();
  backend::IoRing::Done done = [&](std::error_code) {
    elsewhere = std::this_thread::get_id() != here;
    told = true;
  };
  REQUIRE(ring->sync_data(file.get(), done));
  while (!told) std::this_thread::yield();
  CHECK(elsewhere);
}

TEST_CASE_FIXTURE(Fixture, "requests that others follow leave the loop to its other sources") {
  if (ring == nullptr) return;
  constexpr int kRequests = 2000;
  std::array<char, 512> bytes{};
  const iovec buffer{bytes.data(), bytes.size()};
  std::atomic<int> told = 0;
  std::atomic<int> told_before_other = kRequests;
  base::EventSource other(loop,
                          [&] { told_before_other = std::min<int>(told, told_before_other); });
  // The fastest possible guest: each completion begins the next request, which has failed before
  // the ring is checked, as there is no such file.
  backend::IoRing::Done next = [&](std::error_code) {
    if (told == 0) static_cast<void>(eventfd_write(other.fd(), 1));
    if (++told == kRequests) return;
    backend::IoRing::Done done = next;
    ring->read(-1, 0, std::span(&buffer, 1), done);
  };
  backend::IoRing::Done first = next;
  REQUIRE(ring->read(-1, 0, std::span(&buffer, 1), first));
  CHECK(eventually([&] { return told == kRequests; }));
  CHECK(eventually([&] { return told_before_other < kRequests; }));
}

TEST_CASE_FIXTURE(Fixture, "threads begin more than the ring holds, and each end is told once") {
  if (ring == nullptr) return;
  std::atomic<int> told = 0;
  std::atomic<int> refused = 0;
  std::array<char, 512> bytes{};
  const iovec buffer{bytes.data(), bytes.size()};
  // The kernel cancels requests of a thread that ends, so the threads stay until all are complete.
  constexpr int kThreads = 4;
  std::latch begun(kThreads);
  std::latch over(1);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        backend::IoRing::Done done = [&](std::error_code error) { told += error ? 0 : 1; };
        while (!ring->write(file.get(), 0, std::span(&buffer, 1), done)) {
          ++refused;
          std::this_thread::yield();
        }
      }
      begun.count_down();
      over.wait();
    });
  }
  begun.wait();
  ring->drain();
  over.count_down();
  for (std::thread& thread : threads) thread.join();
  CHECK(told == 2000);
}

}  // namespace vmm::test
