// SPDX-License-Identifier: GPL-2.0-only
#include "pci/root.hpp"

#include <doctest/doctest.h>

#include "mock_function.hpp"

namespace vmm::test {
namespace {

constexpr uint64_t kStart = 0xd0f00000;
constexpr uint64_t kWindow = 0xd1000000;  // where the bars are placed

struct Fixture {
  pci::Root root{kStart, 2 << 20, kWindow};
  MockFunction first{1};
  MockFunction second{2};

  Fixture() {
    root.attach(first, "first");
    root.attach(second, "second");
  }
  uint32_t id(uint32_t bus, uint32_t slot_function) {
    uint32_t value = 0xffffffff;
    root.read_config(bus, slot_function, 0, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  uint32_t read(uint64_t address) {
    uint32_t value = 0;
    root.read(address - kStart, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  static uint32_t bar(MockFunction& function, unsigned index) {
    return function.get<uint32_t>(PCI_BASE_ADDRESS_0 + 4ULL * index);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the host bridge is in slot 0, functions follow in order") {
  uint32_t value = 0;
  CHECK(root.read_config(0, 0, PCI_CLASS_REVISION, std::as_writable_bytes(std::span(&value, 1))));
  CHECK((value >> 16) == 0x0600);
  CHECK(id(0, 1 << 3) == 0x00011234);
  CHECK(id(0, 2 << 3) == 0x00021234);
}

TEST_CASE_FIXTURE(Fixture, "there is nobody in other slots, functions and buses") {
  for (const uint32_t place : {3U << 3, 31U << 3, 1U << 3 | 1U, 7U, 1U << 20}) {
    CAPTURE(place);
    CHECK(id(0, place) == 0xffffffff);
    CHECK_FALSE(root.write_config(0, place, 0, {}));
  }
  CHECK(id(1, 1 << 3) == 0xffffffff);
}

TEST_CASE_FIXTURE(Fixture, "bars are placed apart, aligned, inside the window, and decoded") {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (MockFunction* function : {&first, &second}) {
    CHECK((function->get<uint16_t>(PCI_COMMAND) & PCI_COMMAND_MEMORY) != 0);
    ranges.push_back({bar(*function, 0), MockFunction::kBarBytes});
    ranges.push_back({bar(*function, 1), pci::MsixTable::kSizeBytes});
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    CHECK(ranges[i].first % ranges[i].second == 0);
    CHECK(ranges[i].first >= kWindow);
    CHECK(ranges[i].first + ranges[i].second <= kWindow + (1 << 20));
    for (size_t j = 0; j < i; ++j) {
      const bool apart = ranges[i].first + ranges[i].second <= ranges[j].first ||
                         ranges[j].first + ranges[j].second <= ranges[i].first;
      CHECK(apart);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "an access reaches the bar that it lies in") {
  CHECK(read(bar(second, 0) + 8) == 0x0b0a0908);
  const uint32_t value = 0;
  root.write(bar(first, 0) + 0x1ffc - kStart, std::as_bytes(std::span(&value, 1)));
  CHECK(first.registers.written == std::vector<uint64_t>{0x1ffc});
  CHECK(second.registers.written.empty());
}

TEST_CASE_FIXTURE(Fixture, "what no bar claims reads as ones, also over a bar's end") {
  CHECK(read(kWindow + 0xff000) == 0xffffffff);
  const uint64_t end = bar(second, 0) + MockFunction::kBarBytes;
  CHECK(read(end - 2) == 0xffffffff);
  CHECK(root.counters().back().name == "unclaimed-pci");
  CHECK(root.counters().back().reads == 2);
}

TEST_CASE_FIXTURE(Fixture, "a moved bar answers at its new place alone") {
  const uint32_t before = bar(first, 0);
  first.set<uint32_t>(PCI_BASE_ADDRESS_0, kWindow + 0x80000);
  CHECK(read(kWindow + 0x80004) == 0x07060504);
  CHECK(read(before + 4) == 0xffffffff);
  first.set<uint32_t>(PCI_BASE_ADDRESS_0, kStart);
  CHECK(read(kStart + 4) == 0x07060504);
}

TEST_CASE_FIXTURE(Fixture, "of bars laid over one another one answers") {
  first.set<uint32_t>(PCI_BASE_ADDRESS_0, bar(second, 0));
  const uint32_t value = 0;
  root.write(bar(second, 0) - kStart, std::as_bytes(std::span(&value, 1)));
  const size_t answers = first.registers.written.size() + second.registers.written.size();
  CHECK(answers == 1);
}

TEST_CASE_FIXTURE(Fixture, "a bar at the end of the address space does no harm") {
  first.set<uint32_t>(PCI_BASE_ADDRESS_0, 0xffffffff);
  CHECK(read(kWindow + 0x80000) == 0xffffffff);
  first.set<uint32_t>(PCI_BASE_ADDRESS_0, 0);
  CHECK(read(kWindow + 0x80000) == 0xffffffff);
}

TEST_CASE_FIXTURE(Fixture, "accesses are counted by bar") {
  read(bar(first, 0));
  read(bar(first, 1));
  read(bar(first, 1));
  uint64_t registers = 0;
  uint64_t vectors = 0;
  for (const bus::AccessCount& count : root.counters()) {
    if (count.name == "first") registers = count.reads;
    if (count.name == "first-bar1") vectors = count.reads;
  }
  CHECK(registers == 1);
  CHECK(vectors == 2);
}

TEST_CASE("there is room for a function while its bars fit into the window") {
  // The window has one page more than the bars of the first function need.
  MockFunction first{1};
  MockFunction second{2};
  pci::Root root{kStart, kWindow - kStart + 0x5000, kWindow};
  REQUIRE(root.has_room(first));
  root.attach(first, "first");
  CHECK_FALSE(root.has_room(second));
}

}  // namespace vmm::test
