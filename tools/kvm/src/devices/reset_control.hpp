// SPDX-License-Identifier: GPL-2.0-only
//
// The chipset's reset control register, port 0xcf9 (`reboot=p`). machine/ owns it; accesses come
// on vCPU threads. It shares its place with PCI's configuration address, which nobody answers.
#pragma once

#include <atomic>

#include "bus/device.hpp"
#include "devices/power_control.hpp"

namespace vmm::devices {

class ResetControl : public bus::Device {
 public:
  explicit ResetControl(PowerControl& power) : power_(power) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  PowerControl& power_;
  std::atomic<std::byte> value_{std::byte{0}};
};

}  // namespace vmm::devices
