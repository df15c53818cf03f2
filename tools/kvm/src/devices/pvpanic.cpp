// SPDX-License-Identifier: GPL-2.0-only
#include "devices/pvpanic.hpp"

#include <algorithm>

namespace vmm::devices {
namespace {

// include/uapi/misc/pvpanic.h
constexpr std::byte kPanicked{1 << 0};
constexpr std::byte kCrashLoaded{1 << 1};

}  // namespace

void Pvpanic::read(uint64_t, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0});
  data[0] = kPanicked | kCrashLoaded;
}

void Pvpanic::write(uint64_t, std::span<const std::byte> data) {
  if ((data[0] & kPanicked) != std::byte{0}) power_.guest_panicked();
}

}  // namespace vmm::devices
