// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/backlog.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <vector>

namespace vmm::test {
namespace {

using namespace std::chrono_literals;

// Records the queues served, in order.
struct Served {
  void operator()(uint16_t index) {
    const std::lock_guard lock(mutex);
    order.push_back(index);
    changed.notify_all();
  }
  bool reaches(size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, [&] { return order.size() >= count; });
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<uint16_t> order;
};

}  // namespace

TEST_CASE("queues are served in the order in which their time comes, each once") {
  Served served;
  virtio::Backlog backlog(3, [&](uint16_t index) { served(index); });
  backlog.serve_after(0, 300ms);
  backlog.serve_after(2, 150ms);
  backlog.serve_after(1, 1ms);
  backlog.serve_after(0, 1ns);  // already scheduled
  REQUIRE(served.reaches(3));
  CHECK(served.order == std::vector<uint16_t>{1, 2, 0});
  backlog.serve_after(2, 1us);
  REQUIRE(served.reaches(4));
  CHECK(served.order.back() == 2);
}

TEST_CASE("a queue can be asked for again while it is served") {
  Served served;
  virtio::Backlog* self = nullptr;
  virtio::Backlog backlog(1, [&](uint16_t index) {
    served(index);
    if (served.order.size() < 5) self->serve_after(0, 1us);
  });
  self = &backlog;
  backlog.serve_after(0, 1us);
  CHECK(served.reaches(5));
}

TEST_CASE("a machine that wants its vCPUs back lets the backlog's thread do a request at a time") {
  std::atomic<bool> wanted = false;
  std::atomic<int> answers = 0;
  Served served;
  virtio::Backlog* self = nullptr;
  virtio::Backlog backlog(
      1,
      [&](uint16_t index) {
        answers = (self->must_leave(false) ? 1 : 0) + (self->must_leave(true) ? 2 : 0);
        served(index);
      },
      [&] { return wanted.load(); });
  self = &backlog;
  CHECK_FALSE(backlog.must_leave(false));
  wanted = true;
  CHECK(backlog.must_leave(false));
  backlog.serve_soon(0);
  REQUIRE(served.reaches(1));
  CHECK(answers == 2);
  wanted = false;
  backlog.serve_soon(0);
  REQUIRE(served.reaches(2));
  CHECK(answers == 0);
}

TEST_CASE("nothing is served after the end") {
  std::atomic<int> served = 0;
  virtio::Backlog backlog(2, [&](uint16_t) { ++served; });
  backlog.serve_after(0, 1h);
  backlog.stop();
  backlog.serve_after(1, 1ns);
  CHECK(served == 0);
}

}  // namespace vmm::test
