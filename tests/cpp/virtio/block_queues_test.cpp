// SPDX-License-Identifier: GPL-2.0-only
//
// A block device with several queues: each serves, none sees another's requests, a fault in one
// stops them all, and drivers on several threads use them at once. Also one whose backend answers
// later, and one whose driver has many requests in flight.
#include <doctest/doctest.h>
#include <linux/virtio_blk.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "backend/io_ring.hpp"
#include "backend/raw_file.hpp"
#include "memory_backend.hpp"
#include "mock_driver.hpp"
#include "virtio/device/block/block.hpp"

namespace vmm::test {
namespace {

constexpr uint16_t kQueues = 4;
constexpr uint64_t kSectors = 64;

std::unique_ptr<backend::BlockBackend> in_memory() {
  auto disk = std::make_unique<MemoryBackend>(kSectors * 512);
  for (size_t i = 0; i < disk->bytes.size(); ++i) disk->bytes[i] = static_cast<char>(i / 512);
  return disk;
}

// A backend that takes several calls at once.
std::unique_ptr<backend::BlockBackend> in_file() {
  const base::UniqueFd file(memfd_create("disk", 0));
  for (uint64_t sector = 0; sector < kSectors; ++sector) {
    const std::string text(512, static_cast<char>(sector));
    REQUIRE(write(file.get(), text.data(), text.size()) == 512);
  }
  return std::make_unique<backend::RawFile>("/proc/self/fd/" + std::to_string(file.get()), false);
}

struct Fixture {
  explicit Fixture(std::unique_ptr<backend::BlockBackend> disk = in_memory())
      : block(std::move(disk), kQueues), driver(block) {
    REQUIRE(driver.start(driver.device_features(), kQueues));
  }

  // Uses a page of buffers per queue.
  void ask_for_sector(uint16_t queue, uint64_t sector) {
    const uint64_t at = MockDriver::kBuffers + queue * 0x1000ULL;
    driver.memory.write_object({at}, virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, sector});
    driver.memory.write_object({at + 0x100}, uint8_t{0xaa});
    driver.add_and_notify(queue,
                          {readable(at, 16), writable(at + 0x200, 512), writable(at + 0x100, 1)});
  }

  // Returns whether the data was right.
  bool read_sector(uint16_t queue, uint64_t sector) {
    const uint64_t at = MockDriver::kBuffers + queue * 0x1000ULL;
    ask_for_sector(queue, sector);
    const auto used = next_used(queue);
    return used && *driver.memory.read_object<uint8_t>({at + 0x100}) == VIRTIO_BLK_S_OK &&
           driver.get(at + 0x200, 512) == std::string(512, static_cast<char>(sector));
  }

  // Now and then a request is answered a little later, gathered with others.
  std::optional<vring_used_elem> next_used(uint16_t queue) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (;;) {
      const auto used = driver.ring(queue).take_used();
      if (used || std::chrono::steady_clock::now() > deadline) return used;
    }
  }

  virtio::Block block;
  MockDriver driver;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "block says how many queues it has, and serves each") {
  CHECK((driver.device_features() & 1ULL << VIRTIO_BLK_F_MQ) != 0);
  CHECK(driver.read_config<uint16_t>(offsetof(virtio_blk_config, num_queues)) == kQueues);
  for (uint16_t queue = 0; queue < kQueues; ++queue) CHECK(read_sector(queue, 10U + queue));
}

TEST_CASE("a block device with one queue is not called one with several") {
  virtio::Block block(in_memory());
  MockDriver driver(block);
  CHECK((driver.device_features() & 1ULL << VIRTIO_BLK_F_MQ) == 0);
  CHECK(block.queue_max_sizes().size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a fault in one queue stops all, until the device is reset") {
  driver.add_and_notify(2, {readable(MockDriver::kBuffers, 16)});  // no room for a status
  CHECK((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0);
  ask_for_sector(0, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_FALSE(driver.ring(0).take_used());
  REQUIRE(driver.start(driver.device_features(), kQueues));
  CHECK(read_sector(0, 1));
  CHECK(read_sector(2, 2));
}

TEST_CASE("drivers of different queues are served side by side") {
  for (auto open : {in_memory, in_file}) {
    Fixture fixture(open());
    std::atomic<int> right = 0;
    std::vector<std::thread> drivers;
    for (uint16_t queue = 0; queue < kQueues; ++queue) {
      drivers.emplace_back([&, queue] {
        for (uint64_t i = 0; i < 500; ++i) {
          right += fixture.read_sector(queue, (i * 7 + queue) % kSectors);
        }
      });
    }
    for (std::thread& thread : drivers) thread.join();
    CHECK(right == 500 * kQueues);
  }
}

TEST_CASE("a flush is answered when the host has done it, and a reset waits for that") {
  base::EventLoop loop;
  auto ring = backend::IoRing::create(loop);
  if (ring == nullptr) {
    MESSAGE("this host has no io_uring");
    return;
  }
  const base::UniqueFd file(memfd_create("disk", 0));
  REQUIRE(ftruncate(file.get(), kSectors * 512) == 0);
  Fixture fixture(std::make_unique<backend::RawFile>("/proc/self/fd/" + std::to_string(file.get()),
                                                     false, false, std::move(ring)));
  MockDriver& driver = fixture.driver;
  constexpr uint64_t kHeader = MockDriver::kBuffers;
  const auto flush = [&] {
    driver.memory.write_object({kHeader}, virtio_blk_outhdr{VIRTIO_BLK_T_FLUSH, 0, 0});
    driver.memory.write_object({kHeader + 0x100}, uint8_t{0xaa});
    driver.add_and_notify(0, {readable(kHeader, 16), writable(kHeader + 0x100, 1)});
  };
  for (int i = 0; i < 50; ++i) {
    flush();
    std::optional<vring_used_elem> used;
    while (!used) used = driver.ring(0).take_used();
    CHECK(*driver.memory.read_object<uint8_t>({kHeader + 0x100}) == VIRTIO_BLK_S_OK);
  }
  for (int i = 0; i < 50; ++i) {
    flush();
    REQUIRE(driver.start(driver.device_features(), kQueues));
    // The request has ended by now: nothing is used in the new ring.
    CHECK_FALSE(driver.ring(0).take_used());
    CHECK(fixture.read_sector(1, 0));
  }
}

TEST_CASE_FIXTURE(Fixture, "requests that a driver has under way together are answered together") {
  // Eight requests share a header; each has its own status.
  constexpr uint64_t kHeader = MockDriver::kBuffers;
  driver.memory.write_object({kHeader}, virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, 7});
  const auto begin = [&](uint64_t slot) {
    driver.add_and_notify(0, {readable(kHeader, 16), writable(kHeader + 0x1000 + slot * 512, 512),
                              writable(kHeader + 0x100 + slot, 1)});
  };
  constexpr int kRounds = 200;
  constexpr int kSlots = 8;
  for (int round = 0; round < kRounds; ++round) {
    for (uint64_t slot = 0; slot < kSlots; ++slot) begin(slot);
    for (int i = 0; i < kSlots; ++i) REQUIRE(next_used(0));
  }
  // Far fewer interrupts than requests, although the first few dozen are served one by one.
  CHECK(driver.line.pulses < kRounds * kSlots / 2);
  for (uint64_t slot = 0; slot < kSlots; ++slot) {
    CHECK(*driver.memory.read_object<uint8_t>({kHeader + 0x100 + slot}) == VIRTIO_BLK_S_OK);
    CHECK(driver.get(kHeader + 0x1000 + slot * 512, 512) == std::string(512, 7));
  }
}

TEST_CASE_FIXTURE(Fixture, "a reset waits for the requests that are being served") {
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) driver.notify(1);
  });
  for (int i = 0; i < 200; ++i) {
    REQUIRE(driver.start(driver.device_features(), kQueues));
    CHECK(read_sector(0, 5));
  }
  done = true;
  other.join();
}

}  // namespace vmm::test
