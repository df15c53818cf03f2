// SPDX-License-Identifier: GPL-2.0-only
//
// The HPET (IA-PC HPET specification 1.0a): a counter that increments every 10 ns, three timers
// that compare with it, and the legacy replacement route, by which two of them replace the 8254 and
// the CMOS clock. machine/ owns one; accesses come on vCPU threads, expire() on the timers' thread.
// It never waits.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "bus/device.hpp"

namespace vmm::devices {

class Hpet : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 0x400;
  static constexpr size_t kTimers = 3;
  // The low half of the capabilities, which the ACPI table repeats.
  static constexpr uint32_t kBlockId = 0x8086'a001 | (kTimers - 1) << 8;
  // The IOAPIC pins that each timer may use; no other device has them.
  static constexpr uint32_t kRoutes = 0x00f0'0000;

  using Nanoseconds = std::chrono::nanoseconds;
  // A monotonic clock, such as the host's CLOCK_MONOTONIC.
  using Clock = std::function<Nanoseconds()>;

  // The timers' interface to the machine. Called with the lock held, so it must not call back.
  struct Output {
    virtual ~Output() = default;

    // Requests a call of expire() at `time`, instead of any earlier request; nothing: never.
    virtual void set_deadline(std::optional<Nanoseconds> time) = 0;
    virtual void set_line(uint32_t gsi, bool level) = 0;
    // Disables the interrupts of the 8254 and the CMOS clock, or enables them again.
    virtual void replace_legacy(bool replaced) = 0;
  };

  // The lines of the 8254 and the CMOS clock.
  struct LegacyLines {
    uint32_t timer;
    uint32_t clock;
  };

  Hpet(Output& output, LegacyLines legacy, Clock clock);

  void expire();

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  struct Timer {
    uint64_t config = 0;
    uint64_t comparator = ~0ULL;
    uint64_t period = 0;
    // The time when the counter will equal the comparator, in ticks that never wrap.
    std::optional<uint64_t> due;
  };

  bool enabled() const;
  bool legacy() const;
  uint64_t counter() const;
  uint64_t read_register(uint64_t offset) const;
  void write_register(uint64_t offset, uint64_t value, uint64_t mask);
  void write_config(uint64_t value);
  void clear_status(uint64_t bits);
  void write_timer_config(size_t number, uint64_t value);
  void write_comparator(Timer& timer, uint64_t value, uint64_t mask);
  void arm(Timer& timer);
  void arm_all();
  void fire(size_t number);
  void advance(Timer& timer, uint64_t now);
  uint32_t line_of(size_t number) const;
  void set_deadline();

  Output& output_;
  const LegacyLines legacy_lines_;
  const Clock clock_;
  std::mutex mutex_;
  uint64_t config_ = 0;
  uint64_t status_ = 0;   // level-triggered timers only
  uint64_t counted_ = 0;  // the counter when it was last started or halted
  Nanoseconds started_{0};
  std::array<Timer, kTimers> timers_;
};

}  // namespace vmm::devices
