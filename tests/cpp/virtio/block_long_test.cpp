// SPDX-License-Identifier: GPL-2.0-only
//
// Requests that could hold a vCPU for long: those larger than the disk allows are refused, and a
// flush, a discard or zeroes run on the disk's own thread, while vCPUs use the device.
#include <doctest/doctest.h>
#include <linux/virtio_blk.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "eventually.hpp"
#include "memory_backend.hpp"
#include "mock_driver.hpp"
#include "virtio/device/block/block.hpp"
#include "virtio/device/block/request.hpp"

namespace vmm::test {
namespace {

constexpr uint64_t kDiskBytes = 16 << 20;
constexpr uint64_t kHeader = MockDriver::kBuffers;
constexpr uint64_t kStatus = kHeader + 0x100;
constexpr uint64_t kData = kHeader + 0x1000;
constexpr uint64_t kSlotBytes = 0x10000;  // between the headers of two requests
constexpr uint8_t kNoStatus = 0xaa;

// Blocks threads until it is opened, or until a long timeout, when the test has failed.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++passing_;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(10), [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait_for_somebody() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [this] { return passing_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int passing_ = 0;
  bool open_ = false;
};

struct Fixture {
  Fixture() : Fixture(false) {}
  explicit Fixture(bool side_by_side)
      : disk(new MemoryBackend(kDiskBytes)),
        block(std::unique_ptr<MemoryBackend>(disk), 2),
        driver(block) {
    disk->side_by_side = side_by_side;
    REQUIRE(driver.start(driver.device_features(), 2));
  }

  // Begins a request at a separate address for each `slot`; its data, if any, is at data(slot).
  void begin(uint16_t queue, uint32_t type, uint64_t slot = 0, std::vector<Buffer> chain = {}) {
    const uint64_t at = slot * kSlotBytes;
    driver.memory.write_object({kHeader + at}, virtio_blk_outhdr{type, 0, 0});
    driver.memory.write_object({kStatus + at}, kNoStatus);
    chain.insert(chain.begin(), readable(kHeader + at, 16));
    chain.push_back(writable(kStatus + at, 1));
    driver.add_and_notify(queue, std::move(chain));
  }
  static uint64_t data(uint64_t slot) { return kData + slot * kSlotBytes; }
  std::optional<vring_used_elem> next_used(uint16_t queue) {
    std::optional<vring_used_elem> used;
    eventually([&] { return (used = driver.ring(queue).take_used()).has_value(); });
    return used;
  }
  int status(uint64_t slot = 0) {
    return *driver.memory.read_object<uint8_t>({kStatus + slot * kSlotBytes});
  }
  // Zeroes for `segments` times 16 MiB.
  std::vector<Buffer> zero_all(uint32_t segments, uint64_t slot = 0) {
    const std::vector<virtio_blk_discard_write_zeroes> all(segments, {0, kDiskBytes / 512, 0});
    driver.memory.write({data(slot)}, std::as_bytes(std::span(all)));
    return {readable(data(slot), static_cast<uint32_t>(all.size() * sizeof all[0]))};
  }

  MemoryBackend* disk;
  virtio::Block block;
  MockDriver driver;
};

struct SideBySideFixture : Fixture {
  SideBySideFixture() : Fixture(true) {}
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "block says how large a request may be") {
  const uint64_t wanted = 1ULL << VIRTIO_BLK_F_SIZE_MAX | 1ULL << VIRTIO_BLK_F_SEG_MAX;
  CHECK((driver.device_features() & wanted) == wanted);
  CHECK(driver.read_config<uint32_t>(offsetof(virtio_blk_config, size_max)) ==
        virtio::kMaxSegmentBytes);
  CHECK(driver.read_config<uint32_t>(offsetof(virtio_blk_config, seg_max)) == virtio::kMaxSegments);
}

TEST_CASE_FIXTURE(Fixture, "block refuses what is larger, and touches nothing but the status") {
  constexpr auto kMost = static_cast<uint32_t>(virtio::kMaxRequestBytes);
  constexpr uint64_t kPlace = 4 << 20;
  const std::string before(4096, 'b');
  for (const uint32_t type : {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_GET_ID, 0x7777}) {
    CAPTURE(type);
    driver.put(kPlace, before);
    driver.put(kPlace + kMost + 512 - before.size(), before);
    begin(0, type, 0, {writable(kPlace, kMost + 512)});
    const auto used = next_used(0);
    REQUIRE(used);
    CHECK(used->len == 0);
    CHECK(status() == VIRTIO_BLK_S_IOERR);
    CHECK(driver.get(kPlace, before.size()) == before);
    CHECK(driver.get(kPlace + kMost + 512 - before.size(), before.size()) == before);
  }
  begin(0, VIRTIO_BLK_T_OUT, 0, {readable(kPlace, kMost + 512)});
  REQUIRE(next_used(0));
  CHECK(status() == VIRTIO_BLK_S_IOERR);
  CHECK(disk->reads + disk->writes == 0);
  // A request of the maximum size is served.
  begin(0, VIRTIO_BLK_T_IN, 0, {writable(kPlace, kMost)});
  REQUIRE(next_used(0));
  CHECK(status() == VIRTIO_BLK_S_OK);
  CHECK(driver.get(kPlace, before.size()) == std::string(before.size(), '\0'));
}

TEST_CASE_FIXTURE(Fixture, "a vCPU waits for no flush, discard or zeroes, its own or another's") {
  const struct {
    uint32_t type;
    std::vector<Buffer> data;
  } requests[] = {{VIRTIO_BLK_T_FLUSH, {}},
                  {VIRTIO_BLK_T_DISCARD, zero_all(1)},
                  {VIRTIO_BLK_T_WRITE_ZEROES, zero_all(1)}};
  for (const auto& request : requests) {
    CAPTURE(request.type);
    Gate gate;
    disk->on_slow = [&] { gate.pass(); };
    begin(0, request.type, 0, request.data);
    REQUIRE(gate.wait_for_somebody());
    // This backend takes one call at a time: later requests are accepted and wait elsewhere.
    begin(0, VIRTIO_BLK_T_IN, 1, {writable(data(1), 512)});
    begin(1, VIRTIO_BLK_T_IN, 2, {writable(data(2), 512)});
    CHECK(status(0) == kNoStatus);
    CHECK(status(1) == kNoStatus);
    CHECK(status(2) == kNoStatus);
    gate.open();
    CHECK(next_used(0));
    CHECK(next_used(0));
    CHECK(next_used(1));
    for (uint64_t slot = 0; slot < 3; ++slot) CHECK(status(slot) == VIRTIO_BLK_S_OK);
  }
}

TEST_CASE_FIXTURE(SideBySideFixture, "requests go on during a flush where the backend can") {
  Gate gate;
  disk->on_slow = [&] { gate.pass(); };
  begin(0, VIRTIO_BLK_T_FLUSH);
  REQUIRE(gate.wait_for_somebody());
  begin(0, VIRTIO_BLK_T_IN, 1, {writable(data(1), 512)});
  CHECK(next_used(0));
  CHECK(status(1) == VIRTIO_BLK_S_OK);
  CHECK(status(0) == kNoStatus);
  gate.open();
  CHECK(next_used(0));
  CHECK(status(0) == VIRTIO_BLK_S_OK);
}

TEST_CASE_FIXTURE(Fixture, "a flush that fails late is an I/O error, and the next is tried anew") {
  Gate gate;
  disk->on_slow = [&] { gate.pass(); };
  disk->flush_error = std::make_error_code(std::errc::io_error);
  begin(1, VIRTIO_BLK_T_FLUSH);
  REQUIRE(gate.wait_for_somebody());
  gate.open();
  CHECK(next_used(1));
  CHECK(status() == VIRTIO_BLK_S_IOERR);
  disk->flush_error = {};
  begin(1, VIRTIO_BLK_T_FLUSH);
  CHECK(next_used(1));
  CHECK(status() == VIRTIO_BLK_S_OK);
}

TEST_CASE_FIXTURE(Fixture, "zeroes are written in steps, all of them") {
  disk->bytes.assign(kDiskBytes, 'x');
  begin(0, VIRTIO_BLK_T_WRITE_ZEROES, 0, zero_all(1));
  CHECK(next_used(0));
  CHECK(status() == VIRTIO_BLK_S_OK);
  CHECK(disk->longest_zeroes <= kDiskBytes / 4);
  CHECK(std::ranges::all_of(disk->bytes, [](char byte) { return byte == '\0'; }));
}

TEST_CASE("no other step of an abandoned request begins") {
  memory::GuestMemory memory(1 << 20);
  MemoryBackend disk(kDiskBytes);
  MockRing ring(memory, 0x1000, 8);
  const std::vector<virtio_blk_discard_write_zeroes> all(32, {0, kDiskBytes / 512, 0});
  memory.write_object({0x4000}, virtio_blk_outhdr{VIRTIO_BLK_T_WRITE_ZEROES, 0, 0});
  memory.write({0x4010}, std::as_bytes(std::span(all)));
  ring.add({readable(0x4000, static_cast<uint32_t>(16 + all.size() * sizeof all[0])),
            writable(0x6000, 1)});
  auto queue = std::get<virtio::Queue>(virtio::Queue::create(memory, ring.state(), 8));
  auto popped = queue.pop();
  virtio::BlockRequest request(std::move(std::get<virtio::Chain>(popped)),
                               virtio::WriteMode::kBack);
  request.carry_out(disk, [&] { return disk.zeroes == 3; });
  CHECK(disk.zeroes == 3);
  auto used = std::move(request).finish();
  queue.push_used(std::move(used.chain), used.written_bytes);
  CHECK(*memory.read_object<uint8_t>({0x6000}) == VIRTIO_BLK_S_IOERR);
}

TEST_CASE_FIXTURE(Fixture, "a reset waits for the step at hand, and nothing comes after it") {
  Gate gate;
  disk->on_slow = [&] { gate.pass(); };
  begin(0, VIRTIO_BLK_T_WRITE_ZEROES, 0, zero_all(32));
  begin(1, VIRTIO_BLK_T_FLUSH, 1);
  REQUIRE(gate.wait_for_somebody());
  std::thread opener([&] { gate.open(); });
  REQUIRE(driver.start(driver.device_features(), 2));
  opener.join();
  CHECK_FALSE(driver.ring(0).take_used());
  CHECK_FALSE(driver.ring(1).take_used());
  begin(0, VIRTIO_BLK_T_IN, 2, {writable(data(2), 512)});
  CHECK(next_used(0));
  CHECK(status(2) == VIRTIO_BLK_S_OK);
}

}  // namespace vmm::test
