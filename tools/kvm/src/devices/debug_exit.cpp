// SPDX-License-Identifier: GPL-2.0-only
#include "devices/debug_exit.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::devices {

void DebugExit::read(uint64_t, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
}

void DebugExit::write(uint64_t, std::span<const std::byte> data) {
  uint32_t value = 0;
  std::memcpy(&value, data.data(), std::min(data.size(), sizeof value));
  power_.debug_exit(value << 1 | 1);
}

}  // namespace vmm::devices
