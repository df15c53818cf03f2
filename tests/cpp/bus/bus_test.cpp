// SPDX-License-Identifier: GPL-2.0-only
#include "bus/bus.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

namespace vmm::bus {
namespace {

struct Recorder : Device {
  size_t widest_access() const override { return widest; }
  void read(uint64_t offset, std::span<std::byte> data) override {
    last_offset = offset;
    std::fill(data.begin(), data.end(), std::byte{0x42});
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    last_offset = offset;
    last_size = data.size();
    for (const std::byte byte : data) written.emplace_back(offset++, std::to_integer<int>(byte));
  }
  size_t widest = 8;
  uint64_t last_offset = 0;
  size_t last_size = 0;
  std::vector<std::pair<uint64_t, int>> written;
};

using Written = std::vector<std::pair<uint64_t, int>>;

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

TEST_CASE("of an access that straddles ranges each byte goes to whoever is there") {
  Bus bus;
  Recorder first, second;
  bus.attach(0x101, 3, first, "first");
  bus.attach(0x104, 2, second, "second");
  const std::array<std::byte, 4> data = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  CHECK(bus.write(0x102, data));
  CHECK(first.written == Written{{1, 1}, {2, 2}});
  CHECK(second.written == Written{{0, 3}, {1, 4}});
  CHECK(bus.write(0x100, std::span(data).first(2)));  // 0x100 is unclaimed
  CHECK(first.written.back() == std::pair<uint64_t, int>{0, 2});

  std::array<std::byte, 4> read{};
  CHECK(bus.read(0x104, read));
  CHECK(read == std::array{std::byte{0x42}, std::byte{0x42}, kOnes, kOnes});
  const auto counters = bus.counters();
  REQUIRE(counters.size() == 2);
  CHECK(counters[0].writes == 2);
  CHECK(counters[1].writes == 1);
  CHECK(counters[1].reads == 1);
}

TEST_CASE("an access wider than its device takes is made byte by byte") {
  Bus bus;
  Recorder narrow;
  narrow.widest = 1;
  bus.attach(0x70, 2, narrow, "narrow");
  const std::array<std::byte, 2> data = {std::byte{0x0a}, std::byte{0x26}};
  CHECK(bus.write(0x70, data));
  CHECK(narrow.last_size == 1);
  CHECK(narrow.written == Written{{0, 0x0a}, {1, 0x26}});
  CHECK(bus.counters()[0].writes == 1);
}

TEST_CASE("an access past the end of the address space reaches nobody at its beginning") {
  Bus bus;
  Recorder first, last;
  bus.attach(0, 4, first, "first");
  bus.attach(~0ULL, 1, last, "last");
  const std::array<std::byte, 2> data = {std::byte{1}, std::byte{2}};
  CHECK(bus.write(~0ULL, data));
  CHECK(last.written == Written{{0, 1}});
  CHECK(first.written.empty());
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
