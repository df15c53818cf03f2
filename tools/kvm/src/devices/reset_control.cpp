// SPDX-License-Identifier: GPL-2.0-only
#include "devices/reset_control.hpp"

#include <algorithm>

namespace vmm::devices {
namespace {

// native_machine_emergency_restart() writes the kind of reset first, then the same with this bit.
constexpr std::byte kResetCpu{0x04};
constexpr std::byte kImplemented{0x0a};

}  // namespace

void ResetControl::read(uint64_t offset, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  if (offset == kRegister) data[0] = value_.load();
}

void ResetControl::write(uint64_t offset, std::span<const std::byte> data) {
  if (offset != kRegister) return;
  value_.store(data[0] & kImplemented);
  if ((data[0] & kResetCpu) != std::byte{0}) power_.reset("reset control, port 0xcf9");
}

}  // namespace vmm::devices
