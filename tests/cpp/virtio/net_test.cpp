// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/net/net.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_ids.h>

#include <array>
#include <memory>
#include <string>

#include "mock_driver.hpp"
#include "mock_net.hpp"

namespace vmm::test {
namespace {

using backend::NetHeader;
using backend::NetOffloads;
using backend::NetTraits;

constexpr uint64_t bit(int feature) { return 1ULL << feature; }

constexpr uint16_t kReceive = 0, kTransmit = 1;
constexpr uint64_t kPlace = MockDriver::kBuffers;
constexpr uint64_t kBasic = MockDriver::kRingFeatures | bit(VIRTIO_NET_F_MAC);
constexpr uint64_t kMergeable = kBasic | bit(VIRTIO_NET_F_MRG_RXBUF);
constexpr uint32_t kHeader = sizeof(NetHeader);
constexpr virtio::MacAddress kMac = {2, 1, 2, 3, 4, 5};

NetTraits all_traits(uint16_t pairs) {
  constexpr NetOffloads kAll{.checksum = true, .tso4 = true, .tso6 = true, .ecn = true};
  return {.max_queue_pairs = pairs, .send = kAll, .receive = kAll, .mtu = 9000};
}

struct Fixture {
  explicit Fixture(uint16_t max_pairs = 1)
      : pairs(max_pairs),
        net(std::make_unique<MockNet>(log, all_traits(max_pairs)), kMac),
        driver(net) {}

  void start(uint64_t features, uint16_t queues = 2) { REQUIRE(driver.start(features, queues)); }

  void give(uint64_t address, uint32_t length, uint16_t queue = kReceive) {
    driver.add_and_notify(queue, {writable(address, length)});
  }
  void arrive(const std::string& frame, uint16_t pair = 0) {
    log.waiting[pair].push_back(frame);
    log.ready(pair);
  }
  void send(const std::string& frame, const NetHeader& header = {}, uint16_t queue = kTransmit) {
    driver.memory.write_object({kPlace}, header);
    driver.put(kPlace + kHeader, frame);
    driver.add_and_notify(queue, {readable(kPlace, kHeader + static_cast<uint32_t>(frame.size()))});
  }
  uint16_t buffers_at(uint64_t address) {
    return driver.memory.read_object<NetHeader>({address})->num_buffers;
  }
  bool faulty() { return (driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0; }

  uint16_t pairs;
  MockNetLog log;
  virtio::Net net;
  MockDriver driver;
};

std::string pattern(size_t length) {
  std::string bytes(length, '\0');
  uint32_t state = 7;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "net tells its address, its link and its MTU") {
  start(kBasic);
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_NET);
  CHECK(driver.read_config<virtio::MacAddress>(0) == kMac);
  CHECK(driver.read_config<uint16_t>(6) == VIRTIO_NET_S_LINK_UP);
  CHECK(driver.read_config<uint16_t>(8) == 1);
  CHECK(driver.read_config<uint16_t>(10) == 9000);
  CHECK(driver.read_config<uint64_t>(1000) == 0);
}

TEST_CASE_FIXTURE(Fixture, "net offers what its backend can do and no more") {
  const uint64_t all = driver.device_features();
  CHECK((all & bit(VIRTIO_NET_F_CSUM)) != 0);
  CHECK((all & bit(VIRTIO_NET_F_GUEST_TSO6)) != 0);
  CHECK((all & bit(VIRTIO_NET_F_MQ)) == 0);
  CHECK((all & bit(VIRTIO_NET_F_HOST_UFO)) == 0);
  MockNetLog plain_log;
  virtio::Net plain(std::make_unique<MockNet>(plain_log, NetTraits{}), kMac);
  const uint64_t few = plain.features();
  CHECK((few & (bit(VIRTIO_NET_F_CSUM) | bit(VIRTIO_NET_F_GUEST_CSUM) | bit(VIRTIO_NET_F_MTU) |
                bit(VIRTIO_NET_F_HOST_TSO4) | bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))) == 0);
  CHECK((few & bit(VIRTIO_NET_F_MAC)) != 0);
}

TEST_CASE_FIXTURE(Fixture, "net sends a frame with its header, however it is split") {
  start(kBasic);
  NetHeader header{};
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 34;
  send("0123456789abcdef", header);
  REQUIRE(log.sent.size() == 1);
  CHECK(log.sent[0].bytes == "0123456789abcdef");
  CHECK(log.sent[0].header.csum_start == 34);
  driver.add_and_notify(kTransmit, {readable(kPlace, 5), readable(kPlace + 5, kHeader - 5 + 3),
                                    readable(kPlace + kHeader + 3, 13)});
  REQUIRE(log.sent.size() == 2);
  CHECK(log.sent[1].bytes == "0123456789abcdef");
  CHECK(driver.ring(kTransmit).used_index() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a frame shorter than its header is lost and its buffer returned") {
  start(kBasic);
  driver.add_and_notify(kTransmit, {readable(kPlace, kHeader - 1)});
  driver.add_and_notify(kTransmit, {writable(kPlace, 100)});
  CHECK(log.sent.empty());
  CHECK(driver.ring(kTransmit).used_index() == 2);
  CHECK_FALSE(faulty());
  driver.add_and_notify(kTransmit, {readable(kPlace, kHeader)});
  REQUIRE(log.sent.size() == 1);
  CHECK(log.sent[0].bytes.empty());
}

TEST_CASE_FIXTURE(Fixture, "a full backend keeps the frame in the ring until it has room") {
  start(kBasic);
  log.full = true;
  send("later");
  CHECK(driver.ring(kTransmit).used_index() == 0);
  log.full = false;
  log.ready(0);
  REQUIRE(log.sent.size() == 1);
  CHECK(log.sent[0].bytes == "later");
  CHECK(driver.ring(kTransmit).used_index() == 1);
}

TEST_CASE_FIXTURE(Fixture, "net receives into one buffer and says so") {
  start(kBasic);
  give(kPlace, 2000);
  arrive("a frame");
  const auto used = driver.ring(kReceive).take_used();
  REQUIRE(used);
  CHECK(used->len == kHeader + 7);
  CHECK(driver.get(kPlace + kHeader, 7) == "a frame");
  CHECK(buffers_at(kPlace) == 1);
  CHECK(driver.take_interrupts() == VIRTIO_MMIO_INT_VRING);
}

TEST_CASE_FIXTURE(Fixture, "frames wait for buffers, in order") {
  start(kBasic);
  arrive("one");
  arrive("two");
  CHECK(log.waiting[0].size() == 2);
  give(kPlace, 2000);
  give(kPlace + 0x1000, 2000);
  CHECK(driver.get(kPlace + kHeader, 3) == "one");
  CHECK(driver.get(kPlace + 0x1000 + kHeader, 3) == "two");
}

TEST_CASE_FIXTURE(Fixture, "without mergeable buffers a frame that fits none is lost") {
  start(kBasic);
  give(kPlace, 100);
  arrive(pattern(200));
  CHECK(driver.ring(kReceive).used_index() == 0);
  CHECK(log.waiting[0].empty());
  arrive("fits");
  CHECK(driver.get(kPlace + kHeader, 4) == "fits");
}

TEST_CASE_FIXTURE(Fixture, "a large frame is spread over mergeable buffers that appear together") {
  start(kMergeable);
  const std::string frame = pattern(5000);
  give(kPlace, 2000);
  give(kPlace + 0x1000, 2000);
  arrive(frame);
  CHECK(driver.ring(kReceive).used_index() == 0);
  CHECK(log.waiting[0].size() == 1);
  give(kPlace + 0x2000, 2000);
  CHECK(driver.ring(kReceive).used_index() == 3);
  CHECK(buffers_at(kPlace) == 3);
  CHECK(driver.get(kPlace + kHeader, 2000 - kHeader) == frame.substr(0, 2000 - kHeader));
  CHECK(driver.get(kPlace + 0x1000, 2000) == frame.substr(2000 - kHeader, 2000));
  uint32_t total = 0;
  while (const auto used = driver.ring(kReceive).take_used()) total += used->len;
  CHECK(total == kHeader + frame.size());
}

TEST_CASE_FIXTURE(Fixture, "a receive buffer without room for the header is a fault") {
  for (const uint64_t features : {kBasic, kMergeable}) {
    start(features);
    give(kPlace, kHeader - 1);
    arrive("x");
    CHECK(faulty());
    log.waiting[0].clear();
  }
  start(kBasic);
  driver.add_and_notify(kReceive, {readable(kPlace, 2000)});
  arrive("x");
  CHECK(faulty());
  send("nobody is here");
  CHECK(log.sent.empty());
}

TEST_CASE_FIXTURE(Fixture, "a broken ring stops the device, and a reset starts it again") {
  start(kMergeable);
  give(kPlace, 1000);
  driver.add_and_notify(kReceive, {writable(1ULL << 40, 100)});
  arrive(pattern(3000));
  CHECK(faulty());
  start(kMergeable);
  give(kPlace, 4000);
  CHECK(driver.ring(kReceive).used_index() == 1);
}

TEST_CASE_FIXTURE(Fixture, "nothing is received or sent after a reset") {
  start(kBasic);
  give(kPlace, 2000);
  driver.reset();
  arrive("late");
  CHECK(driver.get(kPlace + kHeader, 4) != "late");
  CHECK(log.waiting[0].size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a pulled cable loses frames both ways and is told") {
  start(kBasic | bit(VIRTIO_NET_F_STATUS));
  give(kPlace, 2000);
  const uint32_t before = driver.read32(VIRTIO_MMIO_CONFIG_GENERATION);
  net.set_link(false);
  CHECK(driver.take_interrupts() == VIRTIO_MMIO_INT_CONFIG);
  CHECK(driver.read_config<uint16_t>(6) == 0);
  CHECK(driver.read32(VIRTIO_MMIO_CONFIG_GENERATION) != before);
  send("lost");
  arrive("lost too");
  CHECK(log.sent.empty());
  CHECK(log.waiting[0].empty());
  CHECK(driver.ring(kTransmit).used_index() == 1);
  net.set_link(false);
  net.set_link(true);
  send("back");
  CHECK(log.sent.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "the backend learns which offloads the driver takes") {
  start(kBasic);
  CHECK(log.offloads == NetOffloads{});
  start(kBasic | bit(VIRTIO_NET_F_GUEST_CSUM) | bit(VIRTIO_NET_F_GUEST_TSO4));
  CHECK(log.offloads == NetOffloads{.checksum = true, .tso4 = true, .tso6 = false, .ecn = false});
  driver.reset();
  CHECK(log.offloads == NetOffloads{});
  CHECK(log.queue_pairs == 1);
}

TEST_CASE("each queue pair has its own frames once the driver has asked for it") {
  Fixture fixture(2);
  MockDriver& driver = fixture.driver;
  constexpr uint64_t kFeatures = kBasic | bit(VIRTIO_NET_F_MQ) | bit(VIRTIO_NET_F_CTRL_VQ);
  fixture.start(kFeatures, 5);
  CHECK(driver.read_config<uint16_t>(8) == 2);
  fixture.give(kPlace + 0x1000, 2000, 2);
  fixture.arrive("second", 1);
  CHECK(driver.ring(2).used_index() == 0);
  fixture.send("by the second", {}, 3);
  REQUIRE(fixture.log.sent.size() == 1);
  CHECK(fixture.log.sent[0].pair == 1);

  driver.memory.write_object({kPlace}, std::array<uint8_t, 4>{VIRTIO_NET_CTRL_MQ, 0, 2, 0});
  driver.add_and_notify(4, {readable(kPlace, 4), writable(kPlace + 16, 1)});
  CHECK(driver.get(kPlace + 16, 1) == std::string(1, VIRTIO_NET_OK));
  CHECK(fixture.log.queue_pairs == 2);
  CHECK(driver.ring(2).used_index() == 1);
}

TEST_CASE("without multiqueue the control queue is the third") {
  Fixture fixture(2);
  MockDriver& driver = fixture.driver;
  fixture.start(kBasic | bit(VIRTIO_NET_F_CTRL_VQ) | bit(VIRTIO_NET_F_CTRL_RX), 3);
  driver.memory.write_object({kPlace}, std::array<uint8_t, 3>{VIRTIO_NET_CTRL_RX, 0, 1});
  driver.add_and_notify(2, {readable(kPlace, 3), writable(kPlace + 16, 1)});
  CHECK(driver.ring(2).used_index() == 1);
  CHECK(driver.get(kPlace + 16, 1) == std::string(1, VIRTIO_NET_OK));
}

TEST_CASE_FIXTURE(Fixture, "a command without room for its answer is a fault") {
  start(kBasic | bit(VIRTIO_NET_F_CTRL_VQ), 3);
  driver.add_and_notify(2, {readable(kPlace, 3)});
  CHECK(faulty());
}

TEST_CASE_FIXTURE(Fixture, "an address that the driver sets is read back until the reset") {
  start(kBasic | bit(VIRTIO_NET_F_CTRL_VQ) | bit(VIRTIO_NET_F_CTRL_MAC_ADDR), 3);
  driver.memory.write_object({kPlace},
                             std::array<uint8_t, 8>{VIRTIO_NET_CTRL_MAC, 1, 2, 9, 8, 7, 6, 5});
  driver.add_and_notify(2, {readable(kPlace, 8), writable(kPlace + 16, 1)});
  CHECK(driver.read_config<virtio::MacAddress>(0) == virtio::MacAddress{2, 9, 8, 7, 6, 5});
  driver.reset();
  CHECK(driver.read_config<virtio::MacAddress>(0) == kMac);
}

}  // namespace vmm::test
