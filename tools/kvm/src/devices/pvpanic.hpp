// SPDX-License-Identifier: GPL-2.0-only
//
// The pvpanic device on its ISA port (QEMU's docs/specs/pvpanic.rst): a guest reports that it has
// panicked. machine/ owns it; accesses come on vCPU threads.
#pragma once

#include "bus/device.hpp"
#include "devices/power_control.hpp"

namespace vmm::devices {

class Pvpanic : public bus::Device {
 public:
  explicit Pvpanic(PowerControl& power) : power_(power) {}

  // Returns the mask of supported events.
  void read(uint64_t offset, std::span<std::byte> data) override;
  // Only a panic ends the machine: after the other event a crash kernel runs in it.
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  PowerControl& power_;
};

}  // namespace vmm::devices
