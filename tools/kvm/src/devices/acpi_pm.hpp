// SPDX-License-Identifier: GPL-2.0-only
//
// ACPI's fixed power management registers: PM1 event block (status, enable) and PM1 control, 16
// bits each, at offsets 0, 2 and 4 of one range. Its only deed is to switch the machine off; no
// event ever happens, so it has no interrupt. machine/ owns it; accesses come on vCPU threads.
#pragma once

#include <cstdint>
#include <mutex>

#include "bus/device.hpp"
#include "devices/power_control.hpp"

namespace vmm::devices {

class AcpiPm : public bus::Device {
 public:
  static constexpr uint64_t kControlOffset = 4;
  static constexpr uint64_t kSizeBytes = kControlOffset + 2;

  // `sleep_type_off` is the SLP_TYP that \_S5_ names.
  AcpiPm(PowerControl& power, uint8_t sleep_type_off)
      : power_(power), sleep_type_off_(sleep_type_off) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  uint8_t read_byte(uint64_t offset) const;
  bool write_byte(uint64_t offset, uint8_t value);

  PowerControl& power_;
  const uint8_t sleep_type_off_;
  std::mutex mutex_;
  uint16_t enable_ = 0;
  uint16_t control_ = 0;
};

}  // namespace vmm::devices
