// SPDX-License-Identifier: GPL-2.0-only
//
// The CMOS clock (MC146818) at ports 0x70 and 0x71: the host's time in UTC, read-only, and its
// alarm. machine/ owns it; accesses come on vCPU threads, expire() on the timers' thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "bus/device.hpp"

namespace vmm::devices {

class Rtc : public bus::Device {
 public:
  using Time = std::chrono::sys_time<std::chrono::nanoseconds>;
  using Clock = std::function<Time()>;

  // The alarm's interface to the machine. The first two are called with the clock's lock held and
  // must not call back.
  struct Output {
    virtual ~Output() = default;

    // Requests a call of expire() at `time`, instead of any earlier request; nothing: never.
    virtual void set_deadline(std::optional<Time> time) = 0;
    // The level of the interrupt request; high until the guest reads register C.
    virtual void set_line(bool level) = 0;
    // The alarm has fired.
    virtual void alarm() = 0;
  };

  explicit Rtc(Output& output, Clock clock = std::chrono::system_clock::now);

  // A deadline has passed: the last one set, or an earlier one.
  void expire();

  // Keeps all registers, and brings them back; an alarm is set anew.
  void checkpoint();
  void rewind();

  size_t widest_access() const override { return 1; }
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  uint8_t read_register(uint8_t index);
  uint8_t take_flags();
  void write_register(uint8_t index, uint8_t value);
  uint8_t encode(int value) const;
  uint8_t encode_hour(int hour) const;
  bool alarm_enabled() const;
  bool alarm_matches(int second_of_day) const;
  std::optional<Time> next_alarm(Time after) const;
  void set_alarm();

  Output& output_;
  Clock clock_;
  struct State {
    uint8_t index = 0;
    uint8_t flags = 0;  // register C
    std::array<uint8_t, 128> memory{};
  };

  std::mutex mutex_;  // guards the members below
  State state_;
  State kept_;  // at the checkpoint
  std::optional<Time> alarm_;
};

}  // namespace vmm::devices
