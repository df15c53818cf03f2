// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/balloon.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "eventually.hpp"
#include "mock_driver.hpp"

namespace vmm::test {
namespace {

constexpr uint64_t kPages = 4 << 20;  // an address in guest memory, for pages to give away
constexpr uint32_t kPage = 4096;
constexpr uint64_t kList = MockDriver::kBuffers;

struct Fixture {
  // Constructed in two steps, as driver and device share the driver's memory.
  struct Late final : virtio::Device {
    std::unique_ptr<virtio::Balloon> device;
    uint32_t type() const override { return VIRTIO_ID_BALLOON; }
    uint64_t features() const override {
      return 1ULL << VIRTIO_BALLOON_F_STATS_VQ | 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
             1ULL << VIRTIO_BALLOON_F_REPORTING | 1ULL << VIRTIO_F_IN_ORDER |
             1ULL << VIRTIO_F_RING_RESET;
    }
    std::span<const uint16_t> queue_max_sizes() const override {
      static constexpr uint16_t kSizes[] = {128, 128, 8, 64};
      return kSizes;
    }
    void read_config(uint64_t o, std::span<std::byte> d) const override {
      device->read_config(o, d);
    }
    void write_config(uint64_t o, std::span<const std::byte> d) override {
      device->write_config(o, d);
    }
    uint32_t config_generation() const override { return device->config_generation(); }
    void activate(virtio::Activation a) override { device->activate(std::move(a)); }
    void notify(uint16_t i) override { device->notify(i); }
    void stop_queue(uint16_t i) override { device->stop_queue(i); }
    void reset() override {
      if (device) device->reset();
    }
    void start_queue(uint16_t i, virtio::Queue q) override { device->start_queue(i, std::move(q)); }
  };
  Late late;
  MockDriver driver{late};

  Fixture() {
    late.device = std::make_unique<virtio::Balloon>(driver.memory, 16);
    REQUIRE(late.features() == late.device->features());
    REQUIRE(std::ranges::equal(late.queue_max_sizes(), late.device->queue_max_sizes()));
    start(late.features());
  }
  void start(uint64_t features, uint16_t queues = 4) {
    REQUIRE(driver.start(features | MockDriver::kRingFeatures, queues));
  }
  virtio::Balloon& balloon() { return *late.device; }

  // Fills pages and adds their numbers to the list.
  void list(const std::vector<uint32_t>& pages) {
    driver.memory.write({kList}, std::as_bytes(std::span(pages)));
  }
  void fill(uint64_t address) { driver.put(address, std::string(kPage, 'x')); }
  bool zero(uint64_t address) { return driver.get(address, kPage) == std::string(kPage, '\0'); }
  void statistics(const std::vector<virtio_balloon_stat>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    driver.memory.write({kList}, bytes);
    driver.add_and_notify(2, {readable(kList, static_cast<uint32_t>(bytes.size()))});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "balloon tells its target, and that it has changed") {
  CHECK(driver.read_config<uint32_t>(0) == 16);
  const uint32_t generation = driver.read32(VIRTIO_MMIO_CONFIG_GENERATION);
  driver.take_interrupts();
  balloon().set_target(99);
  CHECK(driver.read_config<uint32_t>(0) == 99);
  CHECK(driver.read32(VIRTIO_MMIO_CONFIG_GENERATION) != generation);
  CHECK(driver.take_interrupts() == VIRTIO_MMIO_INT_CONFIG);
  balloon().set_target(99);
  CHECK(driver.take_interrupts() == 0);
  driver.write32(VIRTIO_MMIO_CONFIG + 4, 42);
  CHECK(balloon().state().actual_pages == 42);
  driver.write32(VIRTIO_MMIO_CONFIG, 1);
  CHECK(balloon().state().target_pages == 99);
}

TEST_CASE_FIXTURE(Fixture, "inflating gives exactly the named pages back") {
  for (uint32_t i = 0; i < 6; ++i) fill(kPages + i * kPage);
  const uint32_t first = kPages / kPage;
  list({first + 3, first + 1, first + 4});
  driver.add_and_notify(0, {readable(kList, 12)});
  CHECK(driver.ring(0).take_used());
  for (const uint32_t i : {1U, 3U, 4U}) CHECK(zero(kPages + i * kPage));
  for (const uint32_t i : {0U, 2U, 5U}) CHECK_FALSE(zero(kPages + i * kPage));
  list({first + 3});
  driver.add_and_notify(1, {readable(kList, 4)});
  CHECK(driver.ring(1).take_used());
}

TEST_CASE_FIXTURE(Fixture, "pages that are no memory are left out, the others are not") {
  const uint32_t last = MockDriver::kMemoryBytes / kPage - 1;
  fill(uint64_t{last} * kPage);
  list({~0U, last, last + 1, ~0U - 1, 0x100000});
  driver.add_and_notify(0, {readable(kList, 20)});
  CHECK(driver.ring(0).take_used());
  CHECK(zero(uint64_t{last} * kPage));
  // Test part of a number, no number, and far too many.
  driver.add_and_notify(0, {readable(kList, 3)});
  driver.add_and_notify(0, {writable(kList, 8)});
  driver.add_and_notify(0, {readable(kPages, 8 << 20)});
  for (int i = 0; i < 3; ++i) CHECK(driver.ring(0).take_used());
  CHECK((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) == 0);
}

TEST_CASE_FIXTURE(Fixture, "statistics are kept until new ones are asked for") {
  statistics({{VIRTIO_BALLOON_S_MEMFREE, 1000}, {VIRTIO_BALLOON_S_MEMTOT, 2000}});
  CHECK_FALSE(driver.ring(2).take_used());
  auto state = balloon().state();
  CHECK(state.statistics_count == 1);
  CHECK(state.statistics.at(VIRTIO_BALLOON_S_MEMFREE) == 1000);
  driver.notify(2);
  CHECK(balloon().state().statistics_count == 1);
  balloon().ask_for_statistics();
  CHECK(eventually([&] { return driver.ring(2).take_used().has_value(); }));
  balloon().ask_for_statistics();  // there are none yet
  CHECK_FALSE(driver.ring(2).take_used());
  statistics({{VIRTIO_BALLOON_S_MEMFREE, 500}});
  state = balloon().state();
  CHECK(state.statistics_count == 2);
  CHECK(state.statistics.size() == 1);
  CHECK(state.statistics.at(VIRTIO_BALLOON_S_MEMFREE) == 500);
}

TEST_CASE_FIXTURE(Fixture, "statistics of any length do no harm") {
  statistics(std::vector<virtio_balloon_stat>(5000, {7, 7}));
  CHECK(balloon().state().statistics.size() == 1);
  balloon().ask_for_statistics();
  driver.add_and_notify(2, {readable(kList, 9)});
  CHECK(balloon().state().statistics.empty());
}

TEST_CASE_FIXTURE(Fixture, "reported ranges are given back, whole pages of them") {
  for (uint32_t i = 0; i < 6; ++i) fill(kPages + i * kPage);
  driver.add_and_notify(3,
                        {writable(kPages, 2 * kPage), writable(kPages + 3 * kPage + 8, 2 * kPage)});
  CHECK(driver.ring(3).take_used());
  CHECK(balloon().state().reported_bytes == 3 * kPage);
  for (const uint32_t i : {0U, 1U, 4U}) CHECK(zero(kPages + i * kPage));
  for (const uint32_t i : {2U, 3U, 5U}) CHECK_FALSE(zero(kPages + i * kPage));
}

TEST_CASE_FIXTURE(Fixture, "queues close up when a driver has no statistics") {
  start(1ULL << VIRTIO_BALLOON_F_REPORTING, 3);
  fill(kPages);
  driver.add_and_notify(2, {writable(kPages, kPage)});
  CHECK(driver.ring(2).take_used());
  CHECK(zero(kPages));
  balloon().ask_for_statistics();
  start(0, 3);
  driver.add_and_notify(2, {writable(kPages, kPage)});
  CHECK_FALSE(driver.ring(2).take_used());
}

TEST_CASE_FIXTURE(Fixture, "a reset lets go of everything") {
  statistics({{VIRTIO_BALLOON_S_MEMFREE, 1000}});
  driver.write32(VIRTIO_MMIO_CONFIG + 4, 42);
  driver.reset();
  CHECK(balloon().state().actual_pages == 0);
  balloon().ask_for_statistics();
  start(late.features());
  statistics({{VIRTIO_BALLOON_S_MEMFREE, 2}});
  CHECK(balloon().state().statistics.at(VIRTIO_BALLOON_S_MEMFREE) == 2);
}

TEST_CASE_FIXTURE(Fixture, "a request with very many pages counts as several") {
  start(late.features() & ~(1ULL << VIRTIO_RING_F_EVENT_IDX));
  constexpr uint32_t kPages = 4 * virtio::Balloon::kUsualPagesPerRequest;
  constexpr uint32_t kRequests = 100;
  const auto here = std::this_thread::get_id();
  std::atomic<uint32_t> used_here = 0;
  driver.line.on_raise = [&] { used_here += std::this_thread::get_id() == here; };
  for (uint32_t i = 0; i < kRequests; ++i) driver.ring(0).add({readable(kList, 4 * kPages)});
  driver.notify(0);
  CHECK(used_here > 0);
  CHECK(used_here <= 128 / 4 + 1);
  CHECK(eventually([&] { return driver.ring(0).used_index() == kRequests; }));
  driver.reset();
}

TEST_CASE_FIXTURE(Fixture, "the host asks and is answered while the guest has the device busy") {
  std::future<void> asked;
  std::atomic<bool> raised = false;
  driver.line.on_raise = [&] {
    if (raised.exchange(true)) return;
    asked = std::async(std::launch::async, [&] {
      balloon().set_target(7);
      balloon().ask_for_statistics();
      CHECK(balloon().state().target_pages == 7);
    });
    CHECK(asked.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  };
  list({kPages / kPage});
  driver.add_and_notify(0, {readable(kList, 4)});  // raises an interrupt while it is served
  REQUIRE(raised);
  asked.get();
  CHECK(driver.read_config<uint32_t>(0) == 7);
}

}  // namespace vmm::test
