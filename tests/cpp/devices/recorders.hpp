// SPDX-License-Identifier: GPL-2.0-only
//
// Replacements for a machine in the tests of devices: they record what a device did. One per test,
// used on its thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "base/interrupt.hpp"
#include "bus/device.hpp"
#include "devices/byte_sink.hpp"
#include "devices/power_control.hpp"

namespace vmm::test {

struct RecordingSink : devices::ByteSink {
  void write(std::span<const std::byte> bytes) override {
    for (const std::byte byte : bytes) text += static_cast<char>(byte);
  }
  void flush() override { ++flushes; }
  bool ready() const override { return !busy; }
  std::string text;
  int flushes = 0;
  bool busy = false;
};

struct CountingLine : base::InterruptLine {
  void raise() override { ++pulses; }
  int pulses = 0;
};

struct RecordingPower : devices::PowerControl {
  void reset(std::string_view how) override {
    ++resets;
    reason = how;
  }
  void debug_exit(uint32_t exit_status) override { status = exit_status; }
  void suspend() override { ++suspends; }
  void wake() override { ++wakes; }
  void guest_panicked() override { ++panics; }
  int resets = 0;
  int panics = 0;
  int suspends = 0;
  int wakes = 0;
  std::string reason;
  uint32_t status = 0;
};

inline uint8_t in8(bus::Device& device, uint64_t offset) {
  std::array<std::byte, 1> data{};
  device.read(offset, data);
  return std::to_integer<uint8_t>(data[0]);
}

inline void out8(bus::Device& device, uint64_t offset, uint8_t value) {
  const std::array<std::byte, 1> data = {std::byte{value}};
  device.write(offset, data);
}

}  // namespace vmm::test
