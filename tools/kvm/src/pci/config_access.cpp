// SPDX-License-Identifier: GPL-2.0-only
#include "pci/config_access.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::pci {
namespace {

constexpr uint64_t kData = 4;
constexpr uint64_t kReset = 1;
constexpr uint32_t kEnable = 1U << 31;
constexpr uint32_t kAddressBits = kEnable | 0x00fffffc;

// The parts of the address register and of an ECAM address: bus, slot and function, register.
constexpr uint32_t bus_of(uint32_t address) { return address >> 16 & 0xff; }
constexpr uint32_t slot_function_of(uint32_t address) { return address >> 8 & 0xff; }
constexpr uint64_t kEcamPage = 4096;

void all_ones(std::span<std::byte> data) { std::ranges::fill(data, std::byte{0xff}); }

bool is_address_register(uint64_t offset, size_t width) {
  return offset == 0 && width == sizeof(uint32_t);
}

}  // namespace

void ConfigPorts::read(uint64_t offset, std::span<std::byte> data) {
  const uint32_t address = address_;
  if (is_address_register(offset, data.size())) {
    std::memcpy(data.data(), &address, sizeof address);
  } else if (offset == kReset) {
    reset_control_.read(offset, data);
  } else if (offset < kData || !(address & kEnable) ||
             !root_.read_config(bus_of(address), slot_function_of(address),
                                (address & 0xff) + offset - kData, data)) {
    all_ones(data);
  }
}

void ConfigPorts::write(uint64_t offset, std::span<const std::byte> data) {
  const uint32_t address = address_;
  if (is_address_register(offset, data.size())) {
    uint32_t value;
    std::memcpy(&value, data.data(), sizeof value);
    address_ = value & kAddressBits;
  } else if (offset == kReset) {
    reset_control_.write(offset, data);
  } else if (offset >= kData && (address & kEnable)) {
    root_.write_config(bus_of(address), slot_function_of(address),
                       (address & 0xff) + offset - kData, data);
  }
}

void Ecam::read(uint64_t offset, std::span<std::byte> data) {
  const uint64_t place = offset % kEcamPage;
  const auto slot_function = static_cast<uint32_t>(offset / kEcamPage);
  if (data.size() > kEcamPage - place || !root_.read_config(0, slot_function, place, data)) {
    all_ones(data);
  }
}

void Ecam::write(uint64_t offset, std::span<const std::byte> data) {
  const uint64_t place = offset % kEcamPage;
  if (data.size() > kEcamPage - place) return;
  root_.write_config(0, static_cast<uint32_t>(offset / kEcamPage), place, data);
}

}  // namespace vmm::pci
