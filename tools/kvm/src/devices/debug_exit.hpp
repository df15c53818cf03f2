// SPDX-License-Identifier: GPL-2.0-only
//
// Port 0xf4: a test payload ends the machine with a 32-bit write of its result. machine/ owns it;
// accesses come on vCPU threads. Narrower writes are the FPU's old ports and mean nothing.
#pragma once

#include "bus/device.hpp"
#include "devices/power_control.hpp"

namespace vmm::devices {

class DebugExit : public bus::Device {
 public:
  explicit DebugExit(PowerControl& power) : power_(power) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  PowerControl& power_;
};

}  // namespace vmm::devices
