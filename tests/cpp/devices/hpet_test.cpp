// SPDX-License-Identifier: GPL-2.0-only
#include "devices/hpet.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "recorders.hpp"

namespace vmm::devices {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kConfig = 0x10;
constexpr uint64_t kStatus = 0x20;
constexpr uint64_t kCounter = 0xf0;
constexpr uint64_t config_of(uint64_t timer) { return 0x100 + 0x20 * timer; }
constexpr uint64_t comparator_of(uint64_t timer) { return 0x108 + 0x20 * timer; }

constexpr uint64_t kLevel = 1 << 1;
constexpr uint64_t kInterrupt = 1 << 2;
constexpr uint64_t kPeriodic = 1 << 3;
constexpr uint64_t kSetAccumulator = 1 << 6;
constexpr uint64_t k32Bits = 1 << 8;
constexpr uint64_t route(uint64_t pin) { return pin << 9; }

using Levels = std::vector<std::pair<uint32_t, bool>>;

struct RecordingOutput : Hpet::Output {
  void set_deadline(std::optional<Hpet::Nanoseconds> time) override { deadline = time; }
  void set_line(uint32_t gsi, bool level) override { levels.emplace_back(gsi, level); }
  void replace_legacy(bool replaced) override { legacy = replaced; }
  std::optional<Hpet::Nanoseconds> deadline;
  Levels levels;
  bool legacy = false;
};

struct Fixture {
  Hpet::Nanoseconds now = 5s;
  RecordingOutput output;
  Hpet hpet{output, {0, 8}, [this] { return now; }};

  template <class T = uint64_t>
  T get(uint64_t offset) {
    T value{};
    hpet.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T = uint64_t>
  void set(uint64_t offset, std::type_identity_t<T> value) {
    hpet.write(offset, std::as_bytes(std::span(&value, 1)));
  }
  // Advances to the deadline and expires; returns the time that passed.
  Hpet::Nanoseconds pass() {
    REQUIRE(output.deadline);
    const auto waited = *output.deadline - now;
    now = *output.deadline;
    hpet.expire();
    return waited;
  }
  Levels taken() { return std::exchange(output.levels, {}); }
};

const Levels kPulse20 = {{20, true}, {20, false}};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "it says what it is: three timers of 64 bits, a tick each 10 ns") {
  const uint64_t capabilities = get(0);
  CHECK((capabilities >> 32) == 10'000'000);  // femtoseconds
  CHECK((capabilities >> 8 & 0x1f) + 1 == Hpet::kTimers);
  CHECK((capabilities >> 13 & 1) == 1);  // a 64-bit counter
  CHECK((capabilities >> 15 & 1) == 1);  // legacy replacement
  CHECK((capabilities & 0xff) != 0);     // a revision must not be 0
  CHECK(get<uint32_t>(0) == Hpet::kBlockId);
  CHECK(get<uint32_t>(4) == 10'000'000);
  for (uint64_t timer = 0; timer < Hpet::kTimers; ++timer) {
    CHECK((get(config_of(timer)) & 0xffff) == 0x30);  // supports periodic mode and 64 bits
    CHECK((get(config_of(timer)) >> 32) == Hpet::kRoutes);
  }
}

TEST_CASE_FIXTURE(Fixture, "the counter stands until it is enabled, and can be set then") {
  CHECK(get(kCounter) == 0);
  now += 1s;
  CHECK(get(kCounter) == 0);
  set(kCounter, 0x1'0000'0007);
  set(kConfig, 1);
  now += 1us;
  CHECK(get(kCounter) == 0x1'0000'0007 + 100);
  CHECK(get<uint32_t>(kCounter) == 107);
  CHECK(get<uint32_t>(kCounter + 4) == 1);
  set(kCounter, 0);
  CHECK(get(kCounter) == 0x1'0000'0007 + 100);
  set(kConfig, 0);
  now += 1s;
  CHECK(get(kCounter) == 0x1'0000'0007 + 100);
  set<uint32_t>(kCounter, 5);
  CHECK(get(kCounter) == 0x1'0000'0005);
}

TEST_CASE_FIXTURE(Fixture, "a timer goes off once when the counter meets its comparator") {
  set(kConfig, 1);
  set(config_of(0), kInterrupt | route(20));
  CHECK_FALSE(output.deadline);
  set(comparator_of(0), 1000);
  CHECK(pass() == 10us);
  CHECK(taken() == kPulse20);
  CHECK_FALSE(output.deadline);
  CHECK(get(kStatus) == 0);  // edges leave no status
}

TEST_CASE_FIXTURE(Fixture, "a comparator of 32 bits is met each time the low half comes round") {
  set(kCounter, 0xffff'ff00);
  set(kConfig, 1);
  set(config_of(1), kInterrupt | k32Bits | route(21));
  set(comparator_of(1), 0x100);
  CHECK(get(comparator_of(1)) == 0x100);
  CHECK(pass() == 0x200 * 10ns);
  CHECK(pass() == 0x1'0000'0000 * 10ns);
  CHECK(taken() == Levels{{21, true}, {21, false}, {21, true}, {21, false}});
}

TEST_CASE_FIXTURE(Fixture, "a periodic timer is set as Linux does it, and goes on without drift") {
  set(kConfig, 1);
  set(config_of(2), kInterrupt | kPeriodic | kSetAccumulator | k32Bits | route(22));
  set<uint32_t>(comparator_of(2), 500'000);
  CHECK((get(config_of(2)) & kSetAccumulator) == 0);
  set<uint32_t>(comparator_of(2), 100'000);
  CHECK(pass() == 5ms);
  CHECK(pass() == 1ms);
  CHECK(get(comparator_of(2)) == 700'000);
  now += 2'300us;  // expire() comes late
  hpet.expire();
  CHECK(taken().size() == 6);
  CHECK(pass() == 700us);
}

TEST_CASE_FIXTURE(Fixture, "a period that is too short for the host is drawn out") {
  set(kConfig, 1);
  set(config_of(0), kInterrupt | kPeriodic | kSetAccumulator | route(20));
  set(comparator_of(0), 1);
  CHECK(pass() == 10ns);
  CHECK(pass() >= 100us);
  set(config_of(0), kInterrupt | kPeriodic | kSetAccumulator | route(20));
  set(comparator_of(0), 0);  // no period at all
  CHECK_FALSE(output.deadline);
}

TEST_CASE_FIXTURE(Fixture, "a level stays until its status is cleared") {
  set(kConfig, 1);
  set(config_of(0), kInterrupt | kLevel | route(20));
  set(comparator_of(0), 100);
  pass();
  CHECK(taken() == Levels{{20, true}});
  CHECK(get(kStatus) == 1);
  set(kStatus, 2);
  CHECK(get(kStatus) == 1);
  set(kStatus, 1);
  CHECK(get(kStatus) == 0);
  CHECK(taken() == Levels{{20, false}});
}

TEST_CASE_FIXTURE(Fixture, "no request outlives its timer's interrupts") {
  for (const auto& [offset, value] : {std::pair<uint64_t, uint64_t>{config_of(0), kLevel},
                                      {config_of(0), kInterrupt | kLevel | route(23)},
                                      {kConfig, 0}}) {
    CAPTURE(offset);
    set(kConfig, 0);
    set(kCounter, 0);
    set(kConfig, 1);
    set(config_of(0), kInterrupt | kLevel | route(20));
    set(comparator_of(0), 100);
    pass();
    taken();
    set(offset, value);
    CHECK(taken() == Levels{{20, false}});
    CHECK(get(kStatus) == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "in legacy mode two timers stand in for the 8254 and the CMOS clock") {
  set(kConfig, 3);
  CHECK(output.legacy);
  for (uint64_t timer = 0; timer < 3; ++timer) {
    set(config_of(timer), kInterrupt | route(22));
    set(comparator_of(timer), 100);
  }
  pass();
  CHECK(taken() == Levels{{0, true}, {0, false}, {8, true}, {8, false}, {22, true}, {22, false}});
  set(kConfig, 1);
  CHECK_FALSE(output.legacy);
}

TEST_CASE_FIXTURE(Fixture, "a route that a timer does not have does not stick") {
  set(config_of(0), route(3));
  CHECK((get(config_of(0)) & route(31)) == 0);
  set(config_of(0), route(23));
  CHECK((get(config_of(0)) & route(31)) == route(23));
}

TEST_CASE_FIXTURE(Fixture, "a timer that may not interrupt does not wake the host") {
  set(kConfig, 1);
  set(config_of(0), route(20));
  set(comparator_of(0), 100);
  CHECK_FALSE(output.deadline);
  now += 1s;
  hpet.expire();
  CHECK(taken().empty());
}

TEST_CASE_FIXTURE(Fixture, "an expiry that comes too early does nothing") {
  set(kConfig, 1);
  set(config_of(0), kInterrupt | route(20));
  set(comparator_of(0), 1000);
  hpet.expire();
  CHECK(taken().empty());
  CHECK(pass() == 10us);
}

TEST_CASE_FIXTURE(Fixture, "accesses that the specification has no meaning for do no harm") {
  for (uint64_t offset = 0; offset < Hpet::kSizeBytes; ++offset) {
    set<uint8_t>(offset, 0xff);
    static_cast<void>(get<uint8_t>(offset));
  }
  set<uint32_t>(kConfig + 2, 0xffffffff);
  CHECK(get(kConfig) == 0);
  CHECK(get<uint8_t>(3) == 0x80);
  CHECK(get(0x4) == 0);  // an unaligned access of 64 bits
  for (uint64_t offset = 0x160; offset < Hpet::kSizeBytes; offset += 8) {
    set(offset, ~0ULL);
    CHECK(get(offset) == 0);
  }
  for (uint64_t offset = 0; offset < 0x160; offset += 8) set(offset, ~0ULL);
  CHECK(get(kConfig) == 3);
  CHECK((get(config_of(0)) & 1 << 14) == 0);  // no messages
}

}  // namespace vmm::devices
