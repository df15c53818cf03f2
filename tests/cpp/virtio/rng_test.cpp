// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/rng.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_ids.h>

#include "mock_driver.hpp"

namespace vmm::test {
namespace {

struct Fixture {
  virtio::Rng rng;
  MockDriver driver{rng};

  Fixture() { REQUIRE(driver.start(MockDriver::kRingFeatures, 1)); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "rng fills every writable buffer") {
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_RNG);
  constexpr uint64_t kPlace = MockDriver::kBuffers;
  driver.add_and_notify(0, {writable(kPlace, 32), writable(kPlace + 0x1000, 64)});
  const auto used = driver.ring(0).take_used();
  REQUIRE(used);
  CHECK(used->len == 96);
  CHECK(driver.get(kPlace, 32) != std::string(32, '\0'));
  CHECK(driver.get(kPlace + 0x1000 + 32, 32) != std::string(32, '\0'));
  CHECK(driver.get(kPlace + 32, 32) == std::string(32, '\0'));
  CHECK(driver.take_interrupts() == VIRTIO_MMIO_INT_VRING);
}

TEST_CASE_FIXTURE(Fixture, "rng gives a large request a part of what it asked for") {
  driver.add_and_notify(0, {writable(MockDriver::kBuffers, 8 << 20)});
  const auto used = driver.ring(0).take_used();
  REQUIRE(used);
  CHECK(used->len == virtio::Rng::kMaxRequestBytes);
}

TEST_CASE_FIXTURE(Fixture, "rng serves what was queued before DRIVER_OK") {
  driver.reset();
  REQUIRE(driver.negotiate(MockDriver::kRingFeatures));
  REQUIRE(driver.set_up_queue(0));
  driver.ring(0).add({writable(MockDriver::kBuffers, 16)});
  CHECK_FALSE(driver.ring(0).take_used());
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  CHECK(driver.ring(0).take_used());
}

TEST_CASE_FIXTURE(Fixture, "rng stops at a fault until it is reset") {
  driver.add_and_notify(0, {writable(MockDriver::kBuffers, 0)});
  CHECK((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0);
  CHECK(driver.take_interrupts() == VIRTIO_MMIO_INT_CONFIG);
  driver.add_and_notify(0, {writable(MockDriver::kBuffers, 16)});
  CHECK_FALSE(driver.ring(0).take_used());
  REQUIRE(driver.start(MockDriver::kRingFeatures, 1));
  driver.add_and_notify(0, {writable(MockDriver::kBuffers, 16)});
  CHECK(driver.ring(0).take_used());
}

}  // namespace vmm::test
