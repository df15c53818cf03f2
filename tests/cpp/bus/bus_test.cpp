// SPDX-License-Identifier: GPL-2.0-only
#include "bus/bus.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

namespace vmm::bus {
namespace {

struct Recorder : Device {
  void read(uint64_t offset, std::span<std::byte> data) override {
    last_offset = offset;
    std::fill(data.begin(), data.end(), std::byte{0x42});
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    last_offset = offset;
    last_size = data.size();
  }
  uint64_t last_offset = 0;
  size_t last_size = 0;
};

constexpr std::byte kOnes{0xff};

}  // namespace

TEST_CASE("a device sees offsets, not addresses") {
  Bus bus;
  Recorder device;
  bus.attach(0x3f8, 8, device, "com1");
  std::array<std::byte, 1> data{};
  CHECK(bus.read(0x3fd, data));
  CHECK(device.last_offset == 5);
  CHECK(data[0] == std::byte{0x42});
  CHECK(bus.write(0x3f8, data));
  CHECK(device.last_offset == 0);
  CHECK(device.last_size == 1);
}

TEST_CASE("an unclaimed read is all ones") {
  Bus bus;
  Recorder device;
  bus.attach(0x100, 4, device, "d");
  std::array<std::byte, 4> data{};
  for (const uint64_t address : {0xffULL, 0x104ULL, ~0ULL}) {
    data.fill(std::byte{0});
    CHECK_FALSE(bus.read(address, std::span(data).first(1)));
    CHECK(data[0] == kOnes);
  }
}

TEST_CASE("an access that straddles the end of a range is refused") {
  Bus bus;
  Recorder first, second;
  bus.attach(0x100, 4, first, "first");
  bus.attach(0x104, 4, second, "second");
  std::array<std::byte, 4> data{};
  CHECK_FALSE(bus.read(0x102, data));
  CHECK(std::all_of(data.begin(), data.end(), [](std::byte b) { return b == kOnes; }));
  CHECK_FALSE(bus.write(0x101, data));
  CHECK(first.last_size == 0);
}

TEST_CASE("overlap, emptiness and wrap-around are refused at attach") {
  Bus bus;
  Recorder device;
  bus.attach(0x100, 0x10, device, "old");
  CHECK_THROWS_AS(bus.attach(0x10f, 1, device, "new"), std::logic_error);
  CHECK_THROWS_AS(bus.attach(0xf0, 0x11, device, "new"), std::logic_error);
  CHECK_THROWS_AS(bus.attach(0x100, 0x10, device, "new"), std::logic_error);
  CHECK_THROWS_AS(bus.attach(0x200, 0, device, "new"), std::logic_error);
  CHECK_THROWS_AS(bus.attach(~0ULL, 2, device, "new"), std::logic_error);
  bus.attach(0xf0, 0x10, device, "below");
  bus.attach(0x110, 1, device, "above");
  bus.attach(~0ULL, 1, device, "last byte");
}

TEST_CASE("traffic is counted by name, unclaimed traffic too") {
  Bus bus;
  Recorder device;
  bus.attach(0x10, 1, device, "d");
  std::array<std::byte, 1> data{};
  bus.read(0x10, data);
  bus.read(0x10, data);
  bus.write(0x10, data);
  bus.write(0x11, data);
  const auto counts = bus.counters();
  REQUIRE(counts.size() == 2);
  CHECK(counts[0].name == "d");
  CHECK(counts[0].reads == 2);
  CHECK(counts[0].writes == 1);
  CHECK(counts[1].name == "unclaimed");
  CHECK(counts[1].writes == 1);
}

}  // namespace vmm::bus
