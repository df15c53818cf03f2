// SPDX-License-Identifier: GPL-2.0-only
#include "devices/i8042.hpp"

#include <algorithm>

namespace vmm::devices {
namespace {

constexpr std::byte kStatus{0xfd};
constexpr std::byte kCommandPulseReset{0xfe};

}  // namespace

void I8042Data::read(uint64_t, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
}

void I8042Data::write(uint64_t, std::span<const std::byte>) {}

void I8042Command::read(uint64_t, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  data[0] = kStatus;
}

void I8042Command::write(uint64_t, std::span<const std::byte> data) {
  if (data[0] == kCommandPulseReset) power_.reset("keyboard controller, port 0x64");
}

}  // namespace vmm::devices
