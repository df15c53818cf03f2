// SPDX-License-Identifier: GPL-2.0-only
#include "devices/rtc.hpp"

#include <doctest/doctest.h>

#include "bus/bus.hpp"
#include "recorders.hpp"

namespace vmm::devices {
namespace {

using test::in8;
using test::out8;

// 2023-11-14 22:13:20 UTC, a Tuesday.
constexpr std::time_t kMoment = 1700000000;

struct Fixture {
  std::time_t now = kMoment;
  Rtc rtc{[this] { return now; }};

  uint8_t get(uint8_t index) {
    out8(rtc, 0, index);
    return in8(rtc, 1);
  }
  void set(uint8_t index, uint8_t value) {
    out8(rtc, 0, index);
    out8(rtc, 1, value);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "time and date are BCD by default") {
  CHECK(get(0x00) == 0x20);
  CHECK(get(0x02) == 0x13);
  CHECK(get(0x04) == 0x22);
  CHECK(get(0x06) == 3);
  CHECK(get(0x07) == 0x14);
  CHECK(get(0x08) == 0x11);
  CHECK(get(0x09) == 0x23);
  CHECK(get(0x32) == 0x20);
}

TEST_CASE_FIXTURE(Fixture, "and binary when register B says so") {
  set(0x0b, 0x06);
  CHECK(get(0x00) == 20);
  CHECK(get(0x04) == 22);
  CHECK(get(0x09) == 23);
}

TEST_CASE_FIXTURE(Fixture, "12-hour mode has its noon and its midnight") {
  set(0x0b, 0x00);
  CHECK(get(0x04) == (0x10 | 0x80));
  now = 1700000000 - 10 * 3600;  // 12:13
  CHECK(get(0x04) == (0x12 | 0x80));
  now = 1700000000 - 22 * 3600;  // 00:13
  CHECK(get(0x04) == 0x12);
}

TEST_CASE_FIXTURE(Fixture, "no update is ever in progress and the clock is valid") {
  CHECK((get(0x0a) & 0x80) == 0);
  CHECK((get(0x0d) & 0x80) != 0);
  CHECK(get(0x0c) == 0);
  CHECK((get(0x0b) & 0x02) != 0);
}

TEST_CASE_FIXTURE(Fixture, "the clock itself cannot be set, CMOS memory can") {
  set(0x00, 0x59);
  CHECK(get(0x00) == 0x20);
  set(0x40, 0xab);
  CHECK(get(0x40) == 0xab);
}

TEST_CASE_FIXTURE(Fixture, "the index ignores the NMI bit and reads as ones") {
  CHECK(get(0x80 | 0x02) == 0x13);
  CHECK(in8(rtc, 0) == 0xff);
}

TEST_CASE_FIXTURE(Fixture, "a 16-bit write is an index and its value, as on the ISA bus") {
  bus::Bus bus;
  bus.attach(0x70, 2, rtc, "rtc");
  const std::array<std::byte, 2> both = {std::byte{0x41}, std::byte{0x77}};
  CHECK(bus.write(0x70, both));
  CHECK(get(0x41) == 0x77);
}

}  // namespace vmm::devices
