// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/input.hpp"

#include <doctest/doctest.h>
#include <linux/input.h>
#include <linux/virtio_ids.h>

#include <optional>

#include "mock_driver.hpp"

namespace vmm::test {
namespace {

using virtio::Input;
using virtio::InputEvent;

struct Fixture {
  Input input{{.name = "a pointer",
               .product = 7,
               .keys = {KEY_A, BTN_LEFT},
               .relative = {REL_WHEEL},
               .absolute = {{ABS_X, 1023}, {ABS_Y, 767}},
               .repeats = true}};
  MockDriver driver{input};

  Fixture() { REQUIRE(driver.start(MockDriver::kRingFeatures, 2)); }

  uint8_t select(uint8_t what, uint8_t which = 0) {
    const std::array<std::byte, 2> bytes = {std::byte{what}, std::byte{which}};
    for (uint64_t i = 0; i < bytes.size(); ++i) {
      driver.transport.write(VIRTIO_MMIO_CONFIG + i, std::span(bytes).subspan(i, 1));
    }
    return driver.read_config<uint8_t>(offsetof(virtio_input_config, size));
  }
  template <class T>
  T value(uint64_t offset = 0) {
    return driver.read_config<T>(offsetof(virtio_input_config, u) + offset);
  }

  void offer(int buffers) {
    for (int i = 0; i < buffers; ++i) driver.ring(0).add({writable(next(), 8)});
    driver.notify(0);
  }
  uint64_t next() { return MockDriver::kBuffers + 8 * offered++; }

  // The events that the driver has received since, in order.
  std::vector<InputEvent> events() {
    std::vector<InputEvent> found;
    while (const auto used = driver.ring(0).take_used()) {
      CHECK(used->len == 8);
      const auto event =
          driver.memory.read_object<virtio_input_event>({MockDriver::kBuffers + 8 * told++});
      found.push_back({event->type, event->code, event->value});
    }
    return found;
  }

  uint64_t offered = 0;
  uint64_t told = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "input says what it is and has, as it is asked") {
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_INPUT);
  REQUIRE(select(VIRTIO_INPUT_CFG_ID_NAME) == 9);
  CHECK(value<std::array<char, 9>>() == std::array{'a', ' ', 'p', 'o', 'i', 'n', 't', 'e', 'r'});
  CHECK(select(VIRTIO_INPUT_CFG_ID_DEVIDS) == sizeof(virtio_input_devids));
  CHECK(value<virtio_input_devids>().product == 7);
  CHECK(select(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY) == BTN_LEFT / 8 + 1);
  CHECK(value<uint8_t>(KEY_A / 8) == 1 << KEY_A % 8);
  CHECK(value<uint8_t>(BTN_LEFT / 8) == 1 << BTN_LEFT % 8);
  CHECK(select(VIRTIO_INPUT_CFG_EV_BITS, EV_REL) == REL_WHEEL / 8 + 1);
  CHECK(select(VIRTIO_INPUT_CFG_EV_BITS, EV_ABS) == 1);
  CHECK(value<uint8_t>() == (1 << ABS_X | 1 << ABS_Y));
  CHECK(select(VIRTIO_INPUT_CFG_EV_BITS, EV_REP) != 0);
  CHECK(select(VIRTIO_INPUT_CFG_ABS_INFO, ABS_Y) == sizeof(virtio_input_absinfo));
  CHECK(value<virtio_input_absinfo>().max == 767);
}

TEST_CASE_FIXTURE(Fixture, "what input has not got has no size") {
  CHECK(select(VIRTIO_INPUT_CFG_UNSET) == 0);
  CHECK(select(VIRTIO_INPUT_CFG_ID_SERIAL) == 0);
  CHECK(select(VIRTIO_INPUT_CFG_PROP_BITS) == 0);
  CHECK(select(VIRTIO_INPUT_CFG_EV_BITS, EV_SW) == 0);
  CHECK(select(VIRTIO_INPUT_CFG_ABS_INFO, ABS_Z) == 0);
  CHECK(select(0xff, 0xff) == 0);
  CHECK(value<uint32_t>() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a report arrives whole, with its end") {
  offer(4);
  const InputEvent moved[] = {{EV_ABS, ABS_X, 5}, {EV_ABS, ABS_Y, 6}};
  input.report(moved);
  CHECK(events() == std::vector<InputEvent>{moved[0], moved[1], {EV_SYN, SYN_REPORT, 0}});
  CHECK(driver.take_interrupts() == VIRTIO_MMIO_INT_VRING);
}

TEST_CASE_FIXTURE(Fixture, "reports wait for buffers, up to a limit, and are never cut") {
  const InputEvent key[] = {{EV_KEY, KEY_A, 1}};
  for (int i = 0; i < 200; ++i) input.report(key);
  size_t got = 0;
  for (int round = 0; round < 9; ++round) {
    offer(32);
    const auto some = events();
    for (const InputEvent& event : some) {
      CHECK(event.type == (got++ % 2 == 0 ? EV_KEY : EV_SYN));
    }
  }
  CHECK(got == Input::kMaxWaiting);
  // The next one is delivered.
  input.report(key);
  CHECK(events().size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "nothing of one driver's time is told to the next") {
  const InputEvent key[] = {{EV_KEY, KEY_A, 1}};
  input.report(key);
  REQUIRE(driver.start(MockDriver::kRingFeatures, 2));
  offer(4);
  CHECK(events().empty());
  driver.reset();
  input.report(key);  // there is no driver
  REQUIRE(driver.start(MockDriver::kRingFeatures, 2));
  offered = told = 0;
  offer(4);
  CHECK(events().empty());
}

TEST_CASE_FIXTURE(Fixture, "what the driver says is taken") {
  driver.add_and_notify(1, {readable(MockDriver::kBuffers, 8)});
  CHECK(driver.ring(1).take_used());
}

TEST_CASE_FIXTURE(Fixture, "a buffer too small for an event is a fault") {
  driver.add_and_notify(0, {writable(MockDriver::kBuffers, 7)});
  CHECK((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) == 0);
  const InputEvent key[] = {{EV_KEY, KEY_A, 1}};
  input.report(key);
  CHECK((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0);
  REQUIRE(driver.start(MockDriver::kRingFeatures, 2));
  offered = told = 0;
  offer(2);
  input.report(key);
  CHECK(events().size() == 2);
}

}  // namespace vmm::test
