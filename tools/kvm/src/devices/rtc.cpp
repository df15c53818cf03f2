// SPDX-License-Identifier: GPL-2.0-only
#include "devices/rtc.hpp"

#include <algorithm>

namespace vmm::devices {
namespace {

// Register numbers and bits: <linux/mc146818rtc.h> inside the kernel, no UAPI header has them.
constexpr uint8_t kSeconds = 0x00;
constexpr uint8_t kMinutes = 0x02;
constexpr uint8_t kHours = 0x04;
constexpr uint8_t kDayOfWeek = 0x06;
constexpr uint8_t kDayOfMonth = 0x07;
constexpr uint8_t kMonth = 0x08;
constexpr uint8_t kYear = 0x09;
constexpr uint8_t kStatusA = 0x0a;
constexpr uint8_t kStatusB = 0x0b;
constexpr uint8_t kStatusC = 0x0c;
constexpr uint8_t kStatusD = 0x0d;
constexpr uint8_t kCentury = 0x32;

constexpr uint8_t kStatusA32kHz = 0x26;  // update-in-progress is never set
constexpr uint8_t kStatusB24Hours = 0x02;
constexpr uint8_t kStatusBBinary = 0x04;
constexpr uint8_t kStatusDValid = 0x80;
constexpr uint8_t kHourPm = 0x80;

}  // namespace

Rtc::Rtc(Clock clock) : clock_(std::move(clock)) { memory_[kStatusB] = kStatusB24Hours; }

void Rtc::read(uint64_t offset, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  if (offset != 1) return;  // the index port is write-only
  const std::lock_guard lock(mutex_);
  data[0] = std::byte{read_register(index_)};
}

void Rtc::write(uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  const auto value = std::to_integer<uint8_t>(data[0]);
  if (offset == 0) {
    index_ = value & 0x7f;  // bit 7 masks NMI
  } else {
    memory_[index_] = value;
  }
}

uint8_t Rtc::encode(int value) const {
  if ((memory_[kStatusB] & kStatusBBinary) != 0) return static_cast<uint8_t>(value);
  return static_cast<uint8_t>(value / 10 << 4 | value % 10);
}

uint8_t Rtc::read_register(uint8_t index) const {
  const std::time_t now = clock_();
  std::tm utc{};
  gmtime_r(&now, &utc);
  const int year = utc.tm_year + 1900;
  switch (index) {
    case kSeconds:
      return encode(std::min(utc.tm_sec, 59));
    case kMinutes:
      return encode(utc.tm_min);
    case kHours:
      if ((memory_[kStatusB] & kStatusB24Hours) != 0) return encode(utc.tm_hour);
      return static_cast<uint8_t>(encode((utc.tm_hour + 11) % 12 + 1) |
                                  (utc.tm_hour >= 12 ? kHourPm : 0));
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
      return kStatusA32kHz;
    case kStatusC:
      return 0;  // no interrupt ever happened
    case kStatusD:
      return kStatusDValid;
    default:
      return memory_[index];
  }
}

}  // namespace vmm::devices
