// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <linux/virtio_ids.h>

#include <array>
#include <vector>

#include "mock_driver.hpp"

namespace vmm::test {
namespace {

using virtio::Activation;

// Two queues, one feature, eight bytes of configuration; records the transport's calls.
class FakeDevice final : public virtio::Device {
 public:
  static constexpr uint64_t kFeature = 1ULL << 5;

  uint32_t type() const override { return VIRTIO_ID_RPMSG; }
  uint64_t features() const override { return kFeature; }
  std::span<const uint16_t> queue_max_sizes() const override { return sizes_; }
  void read_config(uint64_t offset, std::span<std::byte> data) const override {
    virtio::read_config_bytes(config, offset, data);
  }
  void write_config(uint64_t offset, std::span<const std::byte> data) override {
    config_writes.push_back({offset, data.size()});
  }
  uint32_t config_generation() const override { return 7; }
  void activate(Activation given) override { activation = std::move(given); }
  void notify(uint16_t index) override { notified.push_back(index); }
  void stop_queue(uint16_t index) override { stopped.push_back(index); }
  void reset() override {
    ++resets;
    activation.reset();
  }

  std::array<std::byte, 8> config{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  std::vector<std::pair<uint64_t, size_t>> config_writes;
  std::optional<Activation> activation;
  std::vector<uint16_t> notified;
  std::vector<uint16_t> stopped;
  int resets = 0;

 private:
  std::array<uint16_t, 2> sizes_{16, 8};
};

struct Fixture {
  FakeDevice device;
  MockDriver driver{device};

  bool ok() { return (driver.status() & VIRTIO_CONFIG_S_DRIVER_OK) != 0; }
  bool needs_reset() { return (driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0; }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the register file identifies a modern device") {
  CHECK(driver.read32(VIRTIO_MMIO_MAGIC_VALUE) == 0x74726976);
  CHECK(driver.read32(VIRTIO_MMIO_VERSION) == 2);
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_RPMSG);
  CHECK(driver.read32(VIRTIO_MMIO_CONFIG_GENERATION) == 7);
  CHECK(driver.read32(VIRTIO_MMIO_SHM_LEN_LOW) == 0xffffffff);
  CHECK(driver.read32(VIRTIO_MMIO_SHM_BASE_HIGH) == 0xffffffff);
  CHECK(driver.device_features() == (FakeDevice::kFeature | MockDriver::kRingFeatures));
  driver.write32(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_FEATURES) == 0);
}

TEST_CASE_FIXTURE(Fixture, "registers refuse accesses that are not aligned 32-bit ones") {
  for (const size_t width : {1, 2, 8}) {
    std::vector<std::byte> data(width, std::byte{0x5a});
    driver.transport.read(VIRTIO_MMIO_MAGIC_VALUE, data);
    CHECK(data == std::vector<std::byte>(width, std::byte{0xff}));
    std::vector<std::byte> one(width, std::byte{0x01});
    driver.transport.write(VIRTIO_MMIO_STATUS, one);
    CHECK(driver.status() == 0);
  }
  std::array<std::byte, 4> data{};
  driver.transport.read(VIRTIO_MMIO_MAGIC_VALUE + 2, data);
  CHECK(data[0] == std::byte{0xff});
}

TEST_CASE_FIXTURE(Fixture, "write-only, legacy and unknown registers read as zero") {
  for (const uint64_t offset : {VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_QUEUE_SEL, 0x040, 0x0fc - 8,
                                VIRTIO_MMIO_QUEUE_DESC_LOW}) {
    CAPTURE(offset);
    CHECK(driver.read32(offset) == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "configuration space takes any width and reads zero past its end") {
  CHECK(driver.read_config<uint8_t>(1) == 2);
  CHECK(driver.read_config<uint16_t>(0) == 0x0201);
  CHECK(driver.read_config<uint32_t>(0) == 0x04030201);
  CHECK(driver.read_config<uint64_t>(4) == 0);
  CHECK(driver.read_config<uint32_t>(0xe00) == 0);
  std::array<std::byte, 2> data{};
  driver.transport.write(VIRTIO_MMIO_CONFIG + 6, data);
  CHECK(device.config_writes == std::vector<std::pair<uint64_t, size_t>>{{6, 2}});
}

TEST_CASE_FIXTURE(Fixture, "a correct driver gets an active device") {
  REQUIRE(driver.start(MockDriver::kRingFeatures | FakeDevice::kFeature, 2));
  REQUIRE(device.activation);
  CHECK(device.activation->features == (MockDriver::kRingFeatures | FakeDevice::kFeature));
  REQUIRE(device.activation->queues.size() == 2);
  CHECK(device.activation->queues[0]->size() == 16);
  CHECK(device.activation->queues[1]->state().event_index);
  driver.notify(1);
  driver.notify(2);
  CHECK(device.notified == std::vector<uint16_t>{1});
  CHECK_FALSE(driver.transport.fault());
}

TEST_CASE_FIXTURE(Fixture, "a queue that was not set up is absent") {
  REQUIRE(driver.start(MockDriver::kVersion1, 1));
  CHECK(device.activation->queues[0]);
  CHECK_FALSE(device.activation->queues[1]);
  CHECK_FALSE(device.activation->queues[0]->state().indirect);
}

TEST_CASE_FIXTURE(Fixture, "FEATURES_OK is refused without VERSION_1") {
  CHECK_FALSE(driver.negotiate(FakeDevice::kFeature));
}

TEST_CASE_FIXTURE(Fixture, "FEATURES_OK is refused for features that were not offered") {
  CHECK_FALSE(driver.negotiate(MockDriver::kVersion1 | 1));
  driver.reset();
  CHECK(driver.negotiate(MockDriver::kVersion1));
}

TEST_CASE_FIXTURE(Fixture, "FEATURES_OK is refused for features beyond the first 64") {
  driver.write32(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
  driver.write32(VIRTIO_MMIO_DRIVER_FEATURES, 1);
  CHECK_FALSE(driver.negotiate(MockDriver::kVersion1));
  driver.reset();
  CHECK(driver.negotiate(MockDriver::kVersion1));
}

TEST_CASE_FIXTURE(Fixture, "features are settled by FEATURES_OK") {
  REQUIRE(driver.negotiate(MockDriver::kVersion1));
  driver.write32(VIRTIO_MMIO_DRIVER_FEATURES, 0xffffffff);
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  REQUIRE(device.activation);
  CHECK(device.activation->features == MockDriver::kVersion1);
}

TEST_CASE_FIXTURE(Fixture,
                  "FEATURES_OK needs ACKNOWLEDGE and DRIVER; DRIVER_OK needs FEATURES_OK") {
  driver.write32(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
  driver.write32(VIRTIO_MMIO_DRIVER_FEATURES, 1);
  driver.write32(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_FEATURES_OK);
  CHECK(driver.status() == 0);
  driver.write32(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  CHECK_FALSE(ok());
  driver.add_status(VIRTIO_CONFIG_S_FEATURES_OK);
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  CHECK(ok());
}

TEST_CASE_FIXTURE(Fixture, "only a reset clears status bits") {
  REQUIRE(driver.start(MockDriver::kVersion1, 1));
  driver.write32(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
  CHECK(ok());
  driver.reset();
  CHECK(driver.status() == 0);
  CHECK_FALSE(device.activation);
}

TEST_CASE_FIXTURE(Fixture, "a driver that has failed gets no device") {
  REQUIRE(driver.negotiate(MockDriver::kVersion1));
  driver.add_status(VIRTIO_CONFIG_S_FAILED);
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  CHECK_FALSE(device.activation);
}

TEST_CASE_FIXTURE(Fixture, "bad queue set-ups are refused and named") {
  const uint64_t table = MockDriver::ring_place(0);
  const struct {
    uint32_t size;
    uint64_t descriptors, available, used;
  } cases[] = {
      {0, table, table + 0x1000, table + 0x2000},
      {5, table, table + 0x1000, table + 0x2000},
      {32, table, table + 0x1000, table + 0x2000},
      {0x10010, table, table + 0x1000, table + 0x2000},
      {16, table + 1, table + 0x1000, table + 0x2000},
      {16, table, ~0ULL - 1, table + 0x2000},
      {16, table, table + 0x1000, table},
      {16, table, table + 0x1000, MockDriver::kMemoryBytes - 4},
  };
  for (const auto& bad : cases) {
    driver.reset();
    REQUIRE(driver.negotiate(MockDriver::kVersion1));
    CHECK_FALSE(driver.set_up_queue(0, bad.size, bad.descriptors, bad.available, bad.used));
    CHECK(needs_reset());
    CHECK(driver.transport.fault());
    driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
    CHECK_FALSE(device.activation);
  }
  CHECK(driver.line.pulses == 0);
}

TEST_CASE_FIXTURE(Fixture, "a queue is set up between FEATURES_OK and DRIVER_OK only") {
  CHECK_FALSE(driver.set_up_queue(0));
  REQUIRE(driver.start(MockDriver::kVersion1, 1));
  CHECK_FALSE(driver.set_up_queue(1));
  CHECK_FALSE(needs_reset());
}

TEST_CASE_FIXTURE(Fixture, "a ready queue ignores new addresses") {
  REQUIRE(driver.negotiate(MockDriver::kVersion1));
  REQUIRE(driver.set_up_queue(0));
  driver.write32(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x40);
  driver.write32(VIRTIO_MMIO_QUEUE_NUM, 4);
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  CHECK(device.activation->queues[0]->state().descriptors.value == MockDriver::ring_place(0));
  CHECK(device.activation->queues[0]->size() == 16);
}

TEST_CASE_FIXTURE(Fixture, "a queue number past the end has no size and cannot be set up") {
  driver.write32(VIRTIO_MMIO_QUEUE_SEL, 2);
  CHECK(driver.read32(VIRTIO_MMIO_QUEUE_NUM_MAX) == 0);
  REQUIRE(driver.negotiate(MockDriver::kVersion1));
  CHECK_FALSE(driver.set_up_queue(2, 8, 0x1000, 0x2000, 0x3000));
}

TEST_CASE_FIXTURE(Fixture, "QueueReady 0 stops the queue") {
  REQUIRE(driver.start(MockDriver::kVersion1, 2));
  driver.write32(VIRTIO_MMIO_QUEUE_SEL, 1);
  driver.write32(VIRTIO_MMIO_QUEUE_READY, 0);
  CHECK(driver.read32(VIRTIO_MMIO_QUEUE_READY) == 0);
  CHECK(device.stopped == std::vector<uint16_t>{1});
}

TEST_CASE_FIXTURE(Fixture, "interrupt status holds each reason until it is acknowledged") {
  REQUIRE(driver.start(MockDriver::kVersion1, 1));
  device.activation->interrupt->queue_used(0);
  device.activation->interrupt->config_changed();
  CHECK(driver.line.pulses == 2);
  CHECK(driver.read32(VIRTIO_MMIO_INTERRUPT_STATUS) == 3);
  driver.write32(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
  CHECK(driver.read32(VIRTIO_MMIO_INTERRUPT_STATUS) == VIRTIO_MMIO_INT_CONFIG);
}

TEST_CASE_FIXTURE(Fixture, "a fault asks for a reset, which makes the device usable again") {
  REQUIRE(driver.start(MockDriver::kVersion1, 2));
  device.activation->interrupt->needs_reset(1, virtio::Fault::kChainTooLong);
  device.activation->interrupt->needs_reset(0, virtio::Fault::kZeroLength);
  CHECK(needs_reset());
  CHECK((driver.take_interrupts() & VIRTIO_MMIO_INT_CONFIG) != 0);
  CHECK(driver.transport.fault() ==
        "queue 1: a descriptor chain is longer than the queue, or loops");
  device.activation->interrupt->queue_used(0);
  // Linux writes back the bits it has read.
  driver.add_status(VIRTIO_CONFIG_S_FAILED);
  CHECK(needs_reset());
  REQUIRE(driver.start(MockDriver::kVersion1, 2));
  CHECK_FALSE(driver.transport.fault());
  CHECK(driver.read32(VIRTIO_MMIO_INTERRUPT_STATUS) == 0);
}

TEST_CASE("a transport lets go of its device when it dies") {
  FakeDevice device;
  { MockDriver driver(device); }
  CHECK(device.resets == 1);
}

}  // namespace vmm::test
