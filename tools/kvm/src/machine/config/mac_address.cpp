// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/mac_address.hpp"

#include <cstdint>
#include <cstdio>

#include "base/error.hpp"

namespace vmm::machine {

virtio::MacAddress mac_address(const std::string& text, size_t number) {
  using base::ConfigError;

  // Locally administered (bit 1 of the first byte), then "TKVM".
  if (text.empty()) return {0x02, 0x54, 0x4b, 0x56, 0x4d, static_cast<uint8_t>(number)};
  virtio::MacAddress mac{};
  int used = 0;
  const int got = std::sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0],
                              &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &used);
  if (got != 6 || static_cast<size_t>(used) != text.size()) {
    throw ConfigError("mac is " + text + ": write it like 02:54:4b:56:4d:00");
  }
  if (mac[0] & 1) {
    throw ConfigError("mac is " + text + ", a group's: use an even first byte, such as 02");
  }
  return mac;
}

}  // namespace vmm::machine
