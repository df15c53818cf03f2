// SPDX-License-Identifier: GPL-2.0-only
//
// The only remaining part of the keyboard controller: its reset line. machine/ owns it and attaches
// its two ports; accesses come on vCPU threads and need no lock, as there is no state.
#pragma once

#include "bus/device.hpp"
#include "devices/power_control.hpp"

namespace vmm::devices {

// Port 0x60. There is no keyboard.
class I8042Data : public bus::Device {
 public:
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;
};

// Port 0x64. Its status reads as all ones except "input buffer full": endless output makes
// i8042_flush() give up at once with "no controller", and a clear IBF lets the `reboot=k` path
// (kb_wait() in arch/x86/kernel/reboot.c) write the reset command without its long poll.
class I8042Command : public bus::Device {
 public:
  explicit I8042Command(PowerControl& power) : power_(power) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  PowerControl& power_;
};

}  // namespace vmm::devices
