// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/gatherer.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <vector>

namespace vmm::test {
namespace {

using namespace std::chrono_literals;

// Keeps what was served, in order.
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
  virtio::Gatherer gatherer(3, [&](uint16_t index) { served(index); });
  gatherer.serve_after(0, 300ms);
  gatherer.serve_after(2, 150ms);
  gatherer.serve_after(1, 1ms);
  gatherer.serve_after(0, 1ns);  // is waited for already
  REQUIRE(served.reaches(3));
  CHECK(served.order == std::vector<uint16_t>{1, 2, 0});
  gatherer.serve_after(2, 1us);
  REQUIRE(served.reaches(4));
  CHECK(served.order.back() == 2);
}

TEST_CASE("a queue can be asked for again while it is served") {
  Served served;
  virtio::Gatherer* self = nullptr;
  virtio::Gatherer gatherer(1, [&](uint16_t index) {
    served(index);
    if (served.order.size() < 5) self->serve_after(0, 1us);
  });
  self = &gatherer;
  gatherer.serve_after(0, 1us);
  CHECK(served.reaches(5));
}

TEST_CASE("nothing is served after the end") {
  std::atomic<int> served = 0;
  virtio::Gatherer gatherer(2, [&](uint16_t) { ++served; });
  gatherer.serve_after(0, 1h);
  gatherer.stop();
  gatherer.serve_after(1, 1ns);
  CHECK(served == 0);
}

}  // namespace vmm::test
