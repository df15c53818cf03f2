// SPDX-License-Identifier: GPL-2.0-only
#include "devices/acpi_pm.hpp"

#include <doctest/doctest.h>

#include "recorders.hpp"

namespace vmm::devices {
namespace {

constexpr uint64_t kStatus = 0;
constexpr uint64_t kEnable = 2;
constexpr uint64_t kControl = 4;
constexpr uint8_t kSuspend = 1;
constexpr uint8_t kOff = 5;
constexpr unsigned kRtc = 1 << 10;
constexpr unsigned kWake = 1 << 15;
constexpr uint16_t kSleepEnable = 1 << 13;

struct Fixture {
  test::RecordingPower power;
  std::vector<bool> sci;  // each level that the line took
  AcpiPm pm{power, {kSuspend, kOff}, [this](bool level) { sci.push_back(level); }};

  uint16_t in16(uint64_t offset) {
    std::array<std::byte, 2> data{};
    pm.read(offset, data);
    return static_cast<uint16_t>(std::to_integer<unsigned>(data[0]) |
                                 std::to_integer<unsigned>(data[1]) << 8);
  }
  void out16(uint64_t offset, unsigned value) {
    const std::array<std::byte, 2> data = {std::byte(value & 0xff), std::byte(value >> 8 & 0xff)};
    pm.write(offset, data);
  }
};

constexpr unsigned sleep(unsigned type) { return type << 10 | kSleepEnable; }

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the machine is in ACPI mode and stays there") {
  CHECK(in16(kControl) == 1);
  out16(kControl, 0);
  CHECK(in16(kControl) == 1);
  CHECK(power.resets == 0);
}

TEST_CASE_FIXTURE(Fixture, "no event is pending, and clearing status bits sets none") {
  CHECK(in16(kStatus) == 0);
  out16(kStatus, 0xffff);
  CHECK(in16(kStatus) == 0);
  CHECK(in16(kEnable) == 0);
}

TEST_CASE_FIXTURE(Fixture, "the enable register keeps what ACPICA reads back") {
  out16(kEnable, 0x0120);
  CHECK(in16(kEnable) == 0x0120);
  test::out8(pm, kEnable + 1, 0x02);
  CHECK(in16(kEnable) == 0x0220);
  CHECK(test::in8(pm, kEnable) == 0x20);
}

TEST_CASE_FIXTURE(Fixture,
                  "the sleep type alone is remembered, with sleep enable it switches off") {
  out16(kControl, kOff << 10);
  CHECK(in16(kControl) == (kOff << 10 | 1));
  CHECK(power.resets == 0);
  out16(kControl, sleep(kOff));
  CHECK(power.resets == 1);
  CHECK(power.reason == "ACPI power off");
  CHECK((in16(kControl) & kSleepEnable) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a byte write switches off too") {
  test::out8(pm, kControl + 1, sleep(kOff) >> 8);
  CHECK(power.resets == 1);
}

TEST_CASE_FIXTURE(Fixture, "no other sleep type does anything") {
  for (unsigned type = 0; type < 8; ++type) {
    if (type != kOff && type != kSuspend) out16(kControl, sleep(type));
  }
  test::out8(pm, kControl, 0xff);
  CHECK(power.resets == 0);
  CHECK(power.suspends == 0);
}

TEST_CASE_FIXTURE(Fixture, "an alarm that the guest has enabled interrupts until it is cleared") {
  pm.rtc_alarm();
  CHECK(in16(kStatus) == kRtc);
  CHECK(sci.empty());
  out16(kEnable, kRtc);
  CHECK(sci == std::vector{true});
  pm.rtc_alarm();
  out16(kStatus, 0xffff & ~kRtc);
  CHECK(sci == std::vector{true});
  out16(kStatus, kRtc);
  CHECK(sci == std::vector{true, false});
  CHECK(in16(kStatus) == 0);
  CHECK(power.wakes == 0);
}

TEST_CASE_FIXTURE(Fixture, "an alarm wakes a machine that sleeps, once, and leaves its traces") {
  out16(kEnable, kRtc);
  out16(kControl, sleep(kSuspend));
  CHECK(power.suspends == 1);
  CHECK(power.wakes == 0);
  pm.rtc_alarm();
  pm.rtc_alarm();
  CHECK(power.wakes == 1);
  CHECK(sci.empty());  // there is no CPU to interrupt yet
  pm.woken();
  CHECK(sci == std::vector{true});
  CHECK(in16(kStatus) == (kRtc | kWake));
  out16(kStatus, kRtc | kWake);
  CHECK(in16(kStatus) == 0);
  out16(kControl, sleep(kSuspend));  // and again
  pm.rtc_alarm();
  CHECK(power.suspends == 2);
  CHECK(power.wakes == 2);
}

TEST_CASE_FIXTURE(Fixture, "an alarm that nobody enabled wakes nobody") {
  out16(kControl, sleep(kSuspend));
  pm.rtc_alarm();
  CHECK(power.wakes == 0);
}

TEST_CASE_FIXTURE(Fixture, "an alarm that came before the sleep ends it at once") {
  out16(kEnable, kRtc);
  pm.rtc_alarm();
  out16(kControl, sleep(kSuspend));
  CHECK(power.suspends == 1);
  CHECK(power.wakes == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "a wide access covers status and enable, and nothing runs over the end") {
  const std::array<std::byte, 4> data = {std::byte{0xff}, std::byte{0xff}, std::byte{0x21},
                                         std::byte{0x01}};
  pm.write(kStatus, data);
  CHECK(in16(kStatus) == 0);
  CHECK(in16(kEnable) == 0x0121);
  std::array<std::byte, 4> past_end{};
  pm.read(kControl, past_end);
  CHECK(past_end[2] == std::byte{0xff});
}

TEST_CASE_FIXTURE(Fixture, "a rewind brings the registers back, and the line to their level") {
  out16(kEnable, kRtc);
  pm.checkpoint();
  pm.rtc_alarm();
  CHECK(sci == std::vector<bool>{true});
  out16(kEnable, 0);
  out16(kEnable, kRtc);
  pm.rewind();
  CHECK(in16(kStatus) == 0);
  CHECK(in16(kEnable) == kRtc);
  CHECK_FALSE(sci.back());
}

}  // namespace vmm::devices
