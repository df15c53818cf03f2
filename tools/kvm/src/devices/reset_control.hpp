// SPDX-License-Identifier: GPL-2.0-only
//
// The chipset's reset control register, port 0xcf9 (`reboot=p`), which lies within PCI's
// configuration address: the device covers all four of its ports, because a 32-bit access to 0xcf8
// is for PCI and must not reach the register. machine/ owns it; accesses come on vCPU threads.
#pragma once

#include <atomic>

#include "bus/device.hpp"
#include "devices/power_control.hpp"

namespace vmm::devices {

class ResetControl : public bus::Device {
 public:
  static constexpr uint64_t kRegister = 1;
  static constexpr uint64_t kSizeBytes = 4;

  explicit ResetControl(PowerControl& power) : power_(power) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  PowerControl& power_;
  std::atomic<std::byte> value_{std::byte{0}};
};

}  // namespace vmm::devices
