// SPDX-License-Identifier: GPL-2.0-only
#include "devices/rtc.hpp"

#include <doctest/doctest.h>

#include "bus/bus.hpp"
#include "recorders.hpp"

namespace vmm::devices {
namespace {

using test::in8;
using test::out8;

using namespace std::chrono_literals;

// 2023-11-14 22:13:20 UTC, a Tuesday.
constexpr std::time_t kMoment = 1700000000;

struct RecordingOutput : Rtc::Output {
  void set_deadline(std::optional<Rtc::Time> time) override { deadline = time; }
  void set_line(bool wanted) override { level = wanted; }
  void alarm() override { ++alarms; }
  std::optional<Rtc::Time> deadline;
  bool level = false;
  int alarms = 0;
};

struct Fixture {
  std::time_t now = kMoment;
  std::chrono::nanoseconds part{0};
  RecordingOutput output;
  Rtc rtc{output, [this] { return Rtc::Time(std::chrono::seconds(now) + part); }};

  // Seconds from now to the deadline; -1 if there is none.
  long ahead() const {
    if (!output.deadline) return -1;
    return (output.deadline->time_since_epoch() - std::chrono::seconds(now)) / 1s;
  }
  void set_alarm(uint8_t hour, uint8_t minute, uint8_t second) {
    set(0x05, hour);
    set(0x03, minute);
    set(0x01, second);
    set(0x0b, get(0x0b) | 0x20);
  }

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

TEST_CASE_FIXTURE(Fixture, "an update is announced 244 microseconds before, and the clock valid") {
  CHECK(get(0x0a) == 0x26);
  part = 999'755us;
  CHECK(get(0x0a) == 0x26);
  part = 999'757us;
  CHECK(get(0x0a) == 0xa6);
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

TEST_CASE_FIXTURE(Fixture, "an alarm goes off at its time of the day, and interrupts") {
  set_alarm(0x22, 0x14, 0x05);  // 45 seconds later
  CHECK(ahead() == 45);
  now += 44;
  rtc.expire();  // too early
  CHECK(output.alarms == 0);
  CHECK(ahead() == 1);
  now += 1;
  rtc.expire();
  CHECK(output.alarms == 1);
  CHECK(output.level);
  CHECK(ahead() == 24 * 60 * 60);
  CHECK(get(0x0c) == 0xa0);
  CHECK_FALSE(output.level);
  CHECK(get(0x0c) == 0);
}

TEST_CASE_FIXTURE(Fixture, "an alarm without the interrupt enabled is none") {
  set_alarm(0xff, 0xff, 0xff);
  CHECK(ahead() == 1);
  set(0x0b, 0x02);
  CHECK(ahead() == -1);
  now += 5;
  rtc.expire();
  CHECK(output.alarms == 0);
  CHECK(get(0x0c) == 0);
}

TEST_CASE_FIXTURE(Fixture, "parts of an alarm may be any, and its format is the clock's") {
  set_alarm(0xc0, 0xc0, 0xc0);  // every second
  CHECK(ahead() == 1);
  set_alarm(0xc0, 0xc0, 0x10);  // every minute
  CHECK(ahead() == 50);
  set_alarm(0xc0, 0x13, 0x20);  // every hour, now
  CHECK(ahead() == 3600);
  set_alarm(0x22, 0x13, 0x19);  // a second ago
  CHECK(ahead() == 24 * 60 * 60 - 1);
  set_alarm(0x25, 0x00, 0x00);  // at no time of the day
  CHECK(ahead() == -1);
  set(0x0b, 0x20 | 0x04);  // binary, 12 hours
  set_alarm(0x80 | 10, 13, 30);
  CHECK(ahead() == 10);
  set_alarm(12, 0, 0);  // midnight
  CHECK(ahead() == 1 * 3600 + 46 * 60 + 40);
}

TEST_CASE_FIXTURE(Fixture, "a host's clock that is set back only puts the alarm off") {
  set_alarm(0x22, 0x13, 0x30);
  CHECK(ahead() == 10);
  now -= 100;
  rtc.expire();
  CHECK(output.alarms == 0);
  CHECK(ahead() == 110);
}

TEST_CASE_FIXTURE(Fixture, "a 16-bit write is an index and its value, as on the ISA bus") {
  bus::Bus bus;
  bus.attach(0x70, 2, rtc, "rtc");
  const std::array<std::byte, 2> both = {std::byte{0x41}, std::byte{0x77}};
  CHECK(bus.write(0x70, both));
  CHECK(get(0x41) == 0x77);
}

TEST_CASE_FIXTURE(Fixture, "a rewind brings registers, alarm and interrupt back") {
  set_alarm(0x22, 0x13, 0x30);
  out8(rtc, 0, 0x0b);
  out8(rtc, 1, 0x22);  // 24 hours, alarm enabled
  REQUIRE(ahead() == 10);
  rtc.checkpoint();
  now += 10;
  rtc.expire();
  CHECK(output.level);
  out8(rtc, 0, 0x0b);
  out8(rtc, 1, 0x02);
  CHECK(ahead() == -1);
  now -= 5;
  rtc.rewind();
  CHECK_FALSE(output.level);
  CHECK(ahead() == 5);
  CHECK(in8(rtc, 1) == 0x22);  // the index is that of the checkpoint, too
}

}  // namespace vmm::devices
