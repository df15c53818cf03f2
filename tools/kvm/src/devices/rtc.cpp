// SPDX-License-Identifier: GPL-2.0-only
#include "devices/rtc.hpp"

#include <algorithm>
#include <ctime>

namespace vmm::devices {
namespace {

// Register numbers and bits: the kernel's internal <linux/mc146818rtc.h>, as no UAPI header has
// them.
constexpr uint8_t kSeconds = 0x00;
constexpr uint8_t kSecondsAlarm = 0x01;
constexpr uint8_t kMinutes = 0x02;
constexpr uint8_t kMinutesAlarm = 0x03;
constexpr uint8_t kHours = 0x04;
constexpr uint8_t kHoursAlarm = 0x05;
constexpr uint8_t kDayOfWeek = 0x06;
constexpr uint8_t kDayOfMonth = 0x07;
constexpr uint8_t kMonth = 0x08;
constexpr uint8_t kYear = 0x09;
constexpr uint8_t kStatusA = 0x0a;
constexpr uint8_t kStatusB = 0x0b;
constexpr uint8_t kStatusC = 0x0c;
constexpr uint8_t kStatusD = 0x0d;
constexpr uint8_t kCentury = 0x32;

constexpr uint8_t kStatusA32kHz = 0x26;
constexpr uint8_t kStatusAUpdating = 0x80;
// The time before the end of a second in which the clock shows "update in progress".
constexpr std::chrono::microseconds kUpdateNotice{244};
constexpr uint8_t kStatusB24Hours = 0x02;
constexpr uint8_t kStatusBBinary = 0x04;
constexpr uint8_t kStatusBAlarm = 0x20;
constexpr uint8_t kStatusCAlarm = 0x20;
constexpr uint8_t kStatusCInterrupt = 0x80;
constexpr uint8_t kStatusDValid = 0x80;
constexpr uint8_t kHourPm = 0x80;
constexpr uint8_t kAlarmAny = 0xc0;  // both bits set: matches any time

constexpr int kSecondsPerDay = 24 * 60 * 60;

bool is_alarm_register(uint8_t index) {
  return index == kSecondsAlarm || index == kMinutesAlarm || index == kHoursAlarm;
}

// Whether a byte of the alarm matches this byte of the time.
bool byte_matches(uint8_t alarm, uint8_t time) {
  return (alarm & kAlarmAny) == kAlarmAny || alarm == time;
}

}  // namespace

Rtc::Rtc(Output& output, Clock clock) : output_(output), clock_(std::move(clock)) {
  state_.memory[kStatusB] = kStatusB24Hours;
}

void Rtc::checkpoint() {
  const std::lock_guard lock(mutex_);
  kept_ = state_;
}

void Rtc::rewind() {
  const std::lock_guard lock(mutex_);
  state_ = kept_;
  output_.set_line(state_.flags != 0);
  set_alarm();
}

void Rtc::read(uint64_t offset, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  if (offset != 1) return;  // the index port is write-only
  const std::lock_guard lock(mutex_);
  data[0] = std::byte{read_register(state_.index)};
}

void Rtc::write(uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  const auto value = std::to_integer<uint8_t>(data[0]);
  if (offset == 0) {
    state_.index = value & 0x7f;  // bit 7 masks NMI
  } else {
    write_register(state_.index, value);
  }
}

void Rtc::write_register(uint8_t index, uint8_t value) {
  state_.memory[index] = value;
  if (index == kStatusB || is_alarm_register(index)) set_alarm();
}

void Rtc::expire() {
  bool gone_off = false;
  {
    const std::lock_guard lock(mutex_);
    gone_off = alarm_ && clock_() >= *alarm_;
    if (gone_off) {
      state_.flags |= kStatusCAlarm | kStatusCInterrupt;
      output_.set_line(true);
    }
    // Set the next alarm; it is the same one if the host's clock was set back meanwhile.
    set_alarm();
  }
  if (gone_off) output_.alarm();
}

bool Rtc::alarm_enabled() const { return (state_.memory[kStatusB] & kStatusBAlarm) != 0; }

void Rtc::set_alarm() {
  alarm_ = alarm_enabled() ? next_alarm(clock_()) : std::nullopt;
  output_.set_deadline(alarm_);
}

bool Rtc::alarm_matches(int second_of_day) const {
  return byte_matches(state_.memory[kSecondsAlarm], encode(second_of_day % 60)) &&
         byte_matches(state_.memory[kMinutesAlarm], encode(second_of_day / 60 % 60)) &&
         byte_matches(state_.memory[kHoursAlarm], encode_hour(second_of_day / 3600));
}

// Returns nothing when the guest's alarm matches no time of the day.
std::optional<Rtc::Time> Rtc::next_alarm(Time after) const {
  const auto second = std::chrono::floor<std::chrono::seconds>(after);
  const auto midnight = std::chrono::floor<std::chrono::days>(after);
  const auto now = static_cast<int>((second - midnight).count());
  for (int ahead = 1; ahead <= kSecondsPerDay; ++ahead) {
    if (alarm_matches((now + ahead) % kSecondsPerDay)) return second + std::chrono::seconds(ahead);
  }
  return std::nullopt;
}

// Reading them clears them and ends the interrupt request.
uint8_t Rtc::take_flags() {
  const uint8_t flags = state_.flags;
  state_.flags = 0;
  if (flags != 0) output_.set_line(false);
  return flags;
}

uint8_t Rtc::encode(int value) const {
  if ((state_.memory[kStatusB] & kStatusBBinary) != 0) return static_cast<uint8_t>(value);
  return static_cast<uint8_t>(value / 10 << 4 | value % 10);
}

uint8_t Rtc::encode_hour(int hour) const {
  if ((state_.memory[kStatusB] & kStatusB24Hours) != 0) return encode(hour);
  return static_cast<uint8_t>(encode((hour + 11) % 12 + 1) | (hour >= 12 ? kHourPm : 0));
}

uint8_t Rtc::read_register(uint8_t index) {
  const Time time = clock_();
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  const std::time_t now = second.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&now, &utc);
  const int year = utc.tm_year + 1900;
  switch (index) {
    case kSeconds:
      return encode(std::min(utc.tm_sec, 59));
    case kMinutes:
      return encode(utc.tm_min);
    case kHours:
      return encode_hour(utc.tm_hour);
    case kDayOfWeek:
      return encode(utc.tm_wday + 1);
    case kDayOfMonth:
      return encode(utc.tm_mday);
    case kMonth:
      return encode(utc.tm_mon + 1);
    case kYear:
      return encode(year % 100);
    case kCentury:
      return encode(year / 100);
    case kStatusA:
      return time >= second + std::chrono::seconds(1) - kUpdateNotice
                 ? kStatusA32kHz | kStatusAUpdating
                 : kStatusA32kHz;
    case kStatusC:
      return take_flags();
    case kStatusD:
      return kStatusDValid;
    default:
      return state_.memory[index];
  }
}

}  // namespace vmm::devices
