// SPDX-License-Identifier: GPL-2.0-only
//
// Port 0xf4: a test payload ends the machine with a write of its result, which may be 8, 16 or 32
// bits wide (QEMU's isa-debug-exit accepts all three). machine/ owns it; accesses come on vCPU
// threads.
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
