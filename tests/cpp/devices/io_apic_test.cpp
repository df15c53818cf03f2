// SPDX-License-Identifier: GPL-2.0-only
#include "devices/io_apic.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace vmm::devices {
namespace {

constexpr uint32_t kLevel = 1U << 15;
constexpr uint32_t kMasked = 1U << 16;
constexpr uint32_t kRemoteIrr = 1U << 14;

struct RecordingOutput : IoApic::Output {
  void set_routes(const IoApic::Routes& given) override { routes = given; }
  void deliver(uint32_t pin) override { delivered.push_back(pin); }
  IoApic::Routes routes;
  std::vector<uint32_t> delivered;
};

struct Chip {
  RecordingOutput output;
  IoApic apic{output};

  void poke(uint64_t offset, uint32_t value) {
    apic.write(offset, std::as_bytes(std::span(&value, 1)));
  }
  uint32_t peek(uint64_t offset) {
    uint32_t value = 0;
    apic.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void set(uint32_t number, uint32_t value) {
    poke(0, number);
    poke(0x10, value);
  }
  uint32_t get(uint32_t number) {
    poke(0, number);
    return peek(0x10);
  }
  void set_pin(uint32_t pin, uint32_t low, uint32_t destination = 0) {
    set(0x11 + 2 * pin, destination << 24);
    set(0x10 + 2 * pin, low);
  }
};

using Delivered = std::vector<uint32_t>;

}  // namespace

TEST_CASE("it has 24 pins, all masked, and an id") {
  Chip chip;
  CHECK(chip.get(1) == 0x00170011);
  for (uint32_t pin = 0; pin < 24; ++pin) CHECK(chip.get(0x10 + 2 * pin) == kMasked);
  chip.set(0, 0x5f000000);
  CHECK(chip.get(0) == 0x0f000000);
  CHECK(chip.get(2) == 0x0f000000);
}

TEST_CASE("an entry becomes the message of its pin, a masked one none") {
  Chip chip;
  chip.set_pin(4, 0x31, 3);
  CHECK(chip.output.routes[4] == InterruptMessage{0xfee03000, 0x31});
  chip.set_pin(4, 0x931 | kLevel, 3);
  CHECK(chip.output.routes[4] == InterruptMessage{0xfee03004, 0xc131});
  chip.set_pin(4, 0x31 | kMasked, 3);
  CHECK_FALSE(chip.output.routes[4]);
}

TEST_CASE("a reset masks every pin and forgets what is in service, but not the lines") {
  Chip chip;
  chip.set_pin(5, 0x40 | kLevel);
  chip.apic.set_line(5, true);
  CHECK((chip.get(0x1a) & kRemoteIrr) != 0);
  chip.apic.reset();
  CHECK(chip.get(0x1a) == kMasked);
  CHECK_FALSE(chip.output.routes[5]);
  chip.set_pin(5, 0x41 | kLevel);
  CHECK(chip.output.delivered == Delivered{5, 5});
}

TEST_CASE("an edge is sent when the line rises") {
  Chip chip;
  chip.set_pin(5, 0x40);
  chip.apic.set_line(5, true);
  chip.apic.set_line(5, true);
  CHECK(chip.output.delivered == Delivered{5});
  chip.apic.set_line(5, false);
  chip.apic.set_line(5, true);
  CHECK(chip.output.delivered == Delivered{5, 5});
  chip.set_pin(5, 0x40 | kMasked);
  chip.apic.set_line(5, false);
  chip.apic.set_line(5, true);
  chip.set_pin(5, 0x40);
  CHECK(chip.output.delivered == Delivered{5, 5});
}

TEST_CASE("a level is sent again after each end of interrupt while it lasts") {
  Chip chip;
  chip.set_pin(9, 0x41 | kLevel);
  chip.apic.set_line(9, true);
  CHECK((chip.get(0x10 + 18) & kRemoteIrr) != 0);
  chip.apic.set_line(9, false);
  chip.apic.set_line(9, true);
  CHECK(chip.output.delivered == Delivered{9});
  chip.apic.end_of_interrupt(0x42);
  CHECK(chip.output.delivered == Delivered{9});
  chip.apic.end_of_interrupt(0x41);
  CHECK(chip.output.delivered == Delivered{9, 9});
  chip.apic.set_line(9, false);
  chip.apic.end_of_interrupt(0x41);
  CHECK(chip.output.delivered == Delivered{9, 9});
  CHECK((chip.get(0x10 + 18) & kRemoteIrr) == 0);
}

TEST_CASE("a level that waited behind the mask comes when that goes") {
  Chip chip;
  chip.set_pin(9, 0x41 | kLevel | kMasked);
  chip.apic.set_line(9, true);
  CHECK(chip.output.delivered.empty());
  chip.set_pin(9, 0x41 | kLevel);
  CHECK(chip.output.delivered == Delivered{9});
}

TEST_CASE("the guest can't write what is read-only, and edge mode ends a stuck level") {
  Chip chip;
  chip.set_pin(3, 0x41 | kLevel | kRemoteIrr | 1U << 12);
  CHECK(chip.get(0x10 + 6) == (0x41 | kLevel));
  chip.apic.set_line(3, true);
  chip.set(0x10 + 6, 0x41 | kMasked);
  CHECK((chip.get(0x10 + 6) & kRemoteIrr) == 0);
}

TEST_CASE("registers, pins and widths that are not there do no harm") {
  Chip chip;
  for (uint32_t number = 0; number < 256; ++number) {
    chip.set(number, ~0U);
    static_cast<void>(chip.get(number));
  }
  chip.apic.set_line(24, true);
  chip.apic.set_line(~0U, true);
  CHECK(chip.peek(0x20) == 0);
  std::array<std::byte, 8> wide{};
  chip.apic.write(0x10, wide);
  chip.apic.read(0x10, wide);
  const std::array<std::byte, 1> narrow = {std::byte{0x10}};
  chip.apic.write(0, narrow);
  chip.apic.write(0x10, narrow);  // too narrow for the window
  CHECK(chip.peek(0) == 0x10);
}

}  // namespace vmm::devices
