// SPDX-License-Identifier: GPL-2.0-only
//
// However fast a driver refills a queue, for every device: one call serves as many chains as the
// queue has entries and then leaves the device, and the rest is served without another
// notification. When the machine pauses or stops, a call ends after the current request.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "eventually.hpp"
#include "mock_driver.hpp"
#include "specimens.hpp"

namespace vmm::test {
namespace {

// A driver that adds a request for each used one, up to `total`: on the serving thread, like
// another vCPU that is always fast enough.
class Refiller {
 public:
  Refiller(MockDriver& driver, Specimen& specimen, uint32_t total)
      : ring_(driver.ring(specimen.queue())),
        specimen_(specimen),
        request_(specimen.request(driver.memory)),
        total_(total) {
    for (size_t slots = 0; slots + request_.size() <= ring_.size(); slots += request_.size()) {
      add();
    }
    driver.line.on_raise = [this] { refill(); };
  }

  uint32_t used_here() const { return used_here_; }
  bool all_used() const { return used_ == total_; }

 private:
  void add() {
    ring_.add(request_);
    ++added_;
  }
  void refill() {
    const std::lock_guard lock(mutex_);
    specimen_.tidy();
    while (ring_.take_used()) {
      ++used_;
      if (std::this_thread::get_id() == here_) ++used_here_;
      if (added_ < total_) add();
    }
  }

  const std::thread::id here_ = std::this_thread::get_id();
  std::mutex mutex_;
  MockRing& ring_;
  Specimen& specimen_;
  const std::vector<Buffer> request_;
  const uint32_t total_;
  uint32_t added_ = 0;
  std::atomic<uint32_t> used_ = 0;
  std::atomic<uint32_t> used_here_ = 0;
};

// Features with which each used chain raises an interrupt.
uint64_t plain_features(MockDriver& driver) {
  return driver.device_features() & ~(1ULL << VIRTIO_RING_F_EVENT_IDX);
}

template <class Check>
void at_each_device(Check check) {
  for (const auto& device : kDevices) {
    CAPTURE(device.name);
    check(*device.make());
  }
}

}  // namespace

TEST_CASE("a queue that is filled as fast as it is served is let go of, and served later") {
  at_each_device([](Specimen& specimen) {
    MockDriver driver(specimen.device());
    REQUIRE(driver.start(plain_features(driver), specimen.queues()));
    const uint32_t size = driver.ring(specimen.queue()).size();
    Refiller refiller(driver, specimen, 4 * size);
    driver.notify(specimen.queue());
    CHECK(refiller.used_here() > 0);
    CHECK(refiller.used_here() <= size);
    CHECK(eventually([&] { return refiller.all_used(); }));
    driver.reset();
  });
}

TEST_CASE("a queue that holds what one call may serve is drained by it") {
  at_each_device([](Specimen& specimen) {
    MockDriver driver(specimen.device());
    REQUIRE(driver.start(driver.device_features(), specimen.queues()));
    MockRing& ring = driver.ring(specimen.queue());
    const auto request = specimen.request(driver.memory);
    const size_t count = ring.size() / request.size();
    for (size_t i = 0; i < count; ++i) ring.add(request);
    driver.notify(specimen.queue());
    CHECK(ring.used_index() == count);
    // And it requests a notification for the next one.
    CHECK(ring.available_event() == count);
  });
}

TEST_CASE("a call ends after the request at hand when the machine wants its vCPUs back") {
  at_each_device([](Specimen& specimen) {
    std::atomic<bool> wanted = false;
    MockDriver driver(specimen.device(), [&] { return wanted.load(); });
    REQUIRE(driver.start(plain_features(driver), specimen.queues()));
    wanted = true;
    Refiller refiller(driver, specimen, driver.ring(specimen.queue()).size());
    driver.notify(specimen.queue());
    // From now on no request begins on this thread, but all are still served.
    CHECK(refiller.used_here() == 0);
    CHECK(eventually([&] { return refiller.all_used(); }));
    driver.reset();
  });
}

TEST_CASE("frames that come as fast as they are delivered, or lost, are left for later, too") {
  MockNetLog log;
  virtio::Net net(std::make_unique<MockNet>(log, backend::NetTraits{}), {2, 0, 0, 0, 0, 1});
  MockDriver driver(net);
  REQUIRE(driver.start(plain_features(driver), 3));
  constexpr uint32_t kFrames = 1000;
  const auto here = std::this_thread::get_id();
  std::atomic<uint32_t> consumed = 0, consumed_here = 0;
  log.on_consume = [&] {
    ++consumed;
    consumed_here += std::this_thread::get_id() == here;
  };
  MockRing& ring = driver.ring(0);
  const auto add = [&] { ring.add({writable(MockDriver::kBuffers, 2048)}); };
  for (int i = 0; i < ring.size(); ++i) add();
  driver.line.on_raise = [&] {
    while (ring.take_used()) add();
  };
  for (const bool link : {true, false}) {
    CAPTURE(link);
    net.set_link(link);
    consumed = consumed_here = 0;
    log.waiting[0].assign(kFrames, "a frame that is long enough");
    log.ready(0);
    CHECK(consumed_here > 0);
    CHECK(consumed_here <= ring.size());
    CHECK(eventually([&] { return consumed == kFrames; }));
  }
  driver.reset();
}

TEST_CASE("a chain whose reader always keeps up is sent in parts, and whole in the end") {
  ConsoleSpecimen specimen;
  MockDriver driver(specimen.device());
  REQUIRE(driver.start(plain_features(driver), specimen.queues()));
  constexpr uint32_t kBytes = 8 << 20;
  std::atomic<bool> done = false;
  std::atomic<uint64_t> received = 0;
  std::thread reader([&] {
    std::vector<char> bytes(1 << 20);
    while (!done) {
      const ssize_t got = recv(specimen.ends[0][0].get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (got > 0) received += static_cast<uint64_t>(got);
    }
  });
  for (int i = 0; i < 8; ++i) {
    driver.ring(1).add({readable(MockDriver::kBuffers, kBytes)});
  }
  driver.notify(1);
  CHECK(eventually([&] { return received == 8 * uint64_t{kBytes}; }));
  CHECK(eventually([&] { return driver.ring(1).used_index() == 8; }));
  done = true;
  reader.join();
}

TEST_CASE("programs that connect in a crowd are all let in") {
  VsockSpecimen specimen;
  MockDriver driver(specimen.device());
  REQUIRE(driver.start(driver.device_features(), specimen.queues()));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (specimen.folder / "v").copy(address.sun_path, sizeof address.sun_path - 1);
  std::vector<base::UniqueFd> programs;
  for (int i = 0; i < 100; ++i) {
    programs.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(connect(programs.back().get(), reinterpret_cast<const sockaddr*>(&address),
                    sizeof address) == 0);
  }
  CHECK(eventually([&] { return specimen.vsock.connection_count() == programs.size(); }));
}

}  // namespace vmm::test
