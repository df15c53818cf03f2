// SPDX-License-Identifier: GPL-2.0-only
//
// ACPI's fixed power management registers: PM1 event block (status, enable) and PM1 control, 16
// bits each, at offsets 0, 2 and 4 of one range. They switch the machine off (S5) and put it to
// sleep (S3), from which only the CMOS clock's alarm wakes it. machine/ owns it; accesses come on
// vCPU threads, rtc_alarm() and woken() on any.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>

#include "bus/device.hpp"
#include "devices/power_control.hpp"

namespace vmm::devices {

class AcpiPm : public bus::Device {
 public:
  static constexpr uint64_t kControlOffset = 4;
  static constexpr uint64_t kSizeBytes = kControlOffset + 2;

  // The SLP_TYP of \_S3_ and \_S5_.
  struct SleepTypes {
    uint8_t suspend;
    uint8_t off;
  };
  // Drives the level-triggered line of the SCI. Must not call back.
  using SetLine = std::function<void(bool level)>;

  AcpiPm(PowerControl& power, SleepTypes types, SetLine set_sci)
      : power_(power), types_(types), set_sci_(std::move(set_sci)) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // Keeps the registers, and brings them back; both while the machine is awake.
  void checkpoint();
  void rewind();

  // The alarm has fired; during a sleep it wakes the machine if the guest has enabled that.
  void rtc_alarm();
  // The sleep is over and the guest is about to resume. Follows from PowerControl's wake().
  void woken();

 private:
  enum class Deed { kNone, kSuspend, kOff };

  uint8_t read_byte(uint64_t offset) const;
  Deed write_byte(uint64_t offset, uint8_t value);
  Deed write_control(uint16_t word);
  bool event_pending() const;
  bool begin_to_wake();
  void update_sci();

  PowerControl& power_;
  const SleepTypes types_;
  const SetLine set_sci_;
  std::mutex mutex_;  // guards the members below, and the order of calls of set_sci_
  struct Registers {
    uint16_t status = 0;
    uint16_t enable = 0;
    uint16_t control = 0;
  };
  Registers registers_;
  Registers kept_;  // at the checkpoint
  bool asleep_ = false;
  bool waking_ = false;  // wake() has been called for this sleep
  bool sci_ = false;
};

}  // namespace vmm::devices
