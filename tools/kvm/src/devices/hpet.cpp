// SPDX-License-Identifier: GPL-2.0-only
//
// Section numbers are those of the IA-PC HPET specification 1.0a.
#include "devices/hpet.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::devices {
namespace {

constexpr uint64_t kNanosecondsPerTick = 10;
constexpr uint64_t kFemtosecondsPerTick = kNanosecondsPerTick * 1'000'000;

// Registers (2.3.3).
constexpr uint64_t kCapabilities = 0x000;
constexpr uint64_t kConfig = 0x010;
constexpr uint64_t kStatus = 0x020;
constexpr uint64_t kCounter = 0x0f0;
constexpr uint64_t kFirstTimer = 0x100;
constexpr uint64_t kTimerStride = 0x20;
constexpr uint64_t kTimerConfig = 0x00;
constexpr uint64_t kTimerComparator = 0x08;

// General configuration (2.3.5).
constexpr uint64_t kEnable = 1 << 0;
constexpr uint64_t kLegacy = 1 << 1;

// Timer configuration and capabilities (2.3.8).
constexpr uint64_t kLevel = 1 << 1;
constexpr uint64_t kInterruptEnable = 1 << 2;
constexpr uint64_t kPeriodic = 1 << 3;
constexpr uint64_t kPeriodicCapable = 1 << 4;
constexpr uint64_t kSize64 = 1 << 5;
constexpr uint64_t kSetAccumulator = 1 << 6;
constexpr uint64_t k32Bits = 1 << 8;
constexpr unsigned kRouteShift = 9;
constexpr uint64_t kRouteMask = 0x1f;
constexpr uint64_t kWritable =
    kLevel | kInterruptEnable | kPeriodic | kSetAccumulator | k32Bits | kRouteMask << kRouteShift;
constexpr uint64_t kTimerCapabilities = kPeriodicCapable | kSize64 | uint64_t{Hpet::kRoutes} << 32;

// The shortest period that is served, to limit the cost for the host: closer expiries are merged.
constexpr uint64_t kLeastTicks = 10'000;  // 100 microseconds
// A time further ahead than this counts as never: 91 years.
constexpr uint64_t kMostTicks = 1ULL << 58;

uint64_t width_of(uint64_t config) { return (config & k32Bits) != 0 ? 0xffff'ffffULL : ~0ULL; }

uint64_t merged(uint64_t old, uint64_t value, uint64_t mask) {
  return (old & ~mask) | (value & mask);
}

}  // namespace

Hpet::Hpet(Output& output, LegacyLines legacy, Clock clock)
    : output_(output), legacy_lines_(legacy), clock_(std::move(clock)) {}

bool Hpet::enabled() const { return (config_ & kEnable) != 0; }

bool Hpet::legacy() const { return (config_ & kLegacy) != 0; }

uint64_t Hpet::counter() const {
  if (!enabled()) return counted_;
  return counted_ + static_cast<uint64_t>((clock_() - started_).count()) / kNanosecondsPerTick;
}

// The specification only allows aligned accesses of 32 and 64 bits (2.3.2).
void Hpet::read(uint64_t offset, std::span<std::byte> data) {
  const uint64_t within = offset % sizeof(uint64_t);
  std::ranges::fill(data, std::byte{0});
  if (data.size() > sizeof(uint64_t) - within) return;
  const std::lock_guard lock(mutex_);
  const uint64_t value = read_register(offset - within) >> (8 * within);
  std::memcpy(data.data(), &value, data.size());
}

void Hpet::write(uint64_t offset, std::span<const std::byte> data) {
  const uint64_t within = offset % sizeof(uint64_t);
  if (data.size() < sizeof(uint32_t) || offset % data.size() != 0) return;
  uint64_t value = 0;
  std::memcpy(&value, data.data(), data.size());
  const uint64_t mask = data.size() == sizeof value ? ~0ULL : 0xffff'ffffULL;
  const std::lock_guard lock(mutex_);
  write_register(offset - within, value << (8 * within), mask << (8 * within));
}

uint64_t Hpet::read_register(uint64_t offset) const {
  switch (offset) {
    case kCapabilities:
      return kFemtosecondsPerTick << 32 | kBlockId;
    case kConfig:
      return config_;
    case kStatus:
      return status_;
    case kCounter:
      return counter();
  }
  if (offset < kFirstTimer) return 0;
  const uint64_t number = (offset - kFirstTimer) / kTimerStride;
  if (number >= kTimers) return 0;
  const Timer& timer = timers_[number];
  switch (offset % kTimerStride) {
    case kTimerConfig:
      return timer.config | kTimerCapabilities;
    case kTimerComparator:
      return timer.comparator;
    default:
      return 0;  // no timer supports messages
  }
}

void Hpet::write_register(uint64_t offset, uint64_t value, uint64_t mask) {
  switch (offset) {
    case kConfig:
      write_config(merged(config_, value, mask));
      return;
    case kStatus:
      clear_status(value & mask);
      return;
    case kCounter:  // writable while it is halted
      if (!enabled()) counted_ = merged(counted_, value, mask);
      return;
  }
  if (offset < kFirstTimer) return;
  const uint64_t number = (offset - kFirstTimer) / kTimerStride;
  if (number >= kTimers) return;
  Timer& timer = timers_[number];
  if (offset % kTimerStride == kTimerConfig) {
    write_timer_config(number, merged(timer.config, value, mask));
  } else if (offset % kTimerStride == kTimerComparator) {
    write_comparator(timer, value, mask);
  }
}

void Hpet::write_config(uint64_t value) {
  counted_ = counter();
  started_ = clock_();
  const uint64_t changed = config_ ^ (value & (kEnable | kLegacy));
  if (changed != 0) clear_status(~0ULL);
  config_ ^= changed;
  if ((changed & kLegacy) != 0) output_.replace_legacy(legacy());
  arm_all();
}

void Hpet::clear_status(uint64_t bits) {
  for (size_t number = 0; number < kTimers; ++number) {
    if ((status_ & bits & 1ULL << number) != 0) output_.set_line(line_of(number), false);
  }
  status_ &= ~bits;
}

void Hpet::write_timer_config(size_t number, uint64_t value) {
  Timer& timer = timers_[number];
  uint64_t config = value & kWritable;
  const uint64_t route = config >> kRouteShift & kRouteMask;
  // A route that the timer does not have is not stored, by which a driver finds the valid ones.
  if ((uint64_t{kRoutes} >> route & 1) == 0) config &= ~(kRouteMask << kRouteShift);
  // An active request would remain active at the old pin.
  constexpr uint64_t kDelivery = kLevel | kInterruptEnable | kRouteMask << kRouteShift;
  if (((config ^ timer.config) & kDelivery) != 0) clear_status(1ULL << number);
  timer.config = config;
  timer.comparator &= width_of(config);
  timer.period &= width_of(config);
  arm(timer);
  set_deadline();
}

// In periodic mode a write sets the period, and also the comparator if the driver has set a bit for
// that, which is then cleared (2.3.9.2.2).
void Hpet::write_comparator(Timer& timer, uint64_t value, uint64_t mask) {
  const bool periodic = (timer.config & kPeriodic) != 0;
  const uint64_t width = width_of(timer.config);
  if (!periodic || (timer.config & kSetAccumulator) != 0) {
    timer.comparator = merged(timer.comparator, value, mask) & width;
  }
  if (periodic) timer.period = merged(timer.period, value, mask) & width;
  timer.config &= ~kSetAccumulator;
  arm(timer);
  set_deadline();
}

// A timer fires when the counter's low bits equal the comparator, so a past value is reached only
// after the counter has wrapped.
void Hpet::arm(Timer& timer) {
  timer.due.reset();
  if (!enabled()) return;
  const uint64_t width = width_of(timer.config);
  const uint64_t now = counter();
  uint64_t ahead = (timer.comparator - now) & width;
  if (ahead == 0 && width != ~0ULL) ahead = width + 1;
  if (ahead != 0 && ahead < kMostTicks) timer.due = now + ahead;
}

void Hpet::arm_all() {
  for (Timer& timer : timers_) arm(timer);
  set_deadline();
}

void Hpet::expire() {
  const std::lock_guard lock(mutex_);
  const uint64_t now = counter();
  for (size_t number = 0; number < kTimers; ++number) {
    Timer& timer = timers_[number];
    if (!timer.due || *timer.due > now) continue;
    fire(number);
    advance(timer, now);
  }
  set_deadline();
}

void Hpet::advance(Timer& timer, uint64_t now) {
  if ((timer.config & kPeriodic) == 0 || timer.period == 0) {
    arm(timer);
    return;
  }
  const uint64_t least = now + kLeastTicks - *timer.due;
  const uint64_t periods = (least + timer.period - 1) / timer.period;
  const uint64_t step = periods * timer.period;
  timer.comparator = (timer.comparator + step) & width_of(timer.config);
  timer.due = *timer.due + step;
}

void Hpet::fire(size_t number) {
  const Timer& timer = timers_[number];
  if ((timer.config & kInterruptEnable) == 0) return;
  const bool level = (timer.config & kLevel) != 0;
  if (level) status_ |= 1ULL << number;
  output_.set_line(line_of(number), true);
  if (!level) output_.set_line(line_of(number), false);
}

// The third timer uses its own route in legacy mode too (2.3.5).
uint32_t Hpet::line_of(size_t number) const {
  if (legacy() && number == 0) return legacy_lines_.timer;
  if (legacy() && number == 1) return legacy_lines_.clock;
  return static_cast<uint32_t>(timers_[number].config >> kRouteShift & kRouteMask);
}

void Hpet::set_deadline() {
  std::optional<uint64_t> first;
  for (const Timer& timer : timers_) {
    if (!timer.due || (timer.config & kInterruptEnable) == 0) continue;
    if (!first || *timer.due < *first) first = timer.due;
  }
  if (!first || !enabled()) {
    output_.set_deadline(std::nullopt);
    return;
  }
  output_.set_deadline(started_ + Nanoseconds((*first - counted_) * kNanosecondsPerTick));
}

}  // namespace vmm::devices
