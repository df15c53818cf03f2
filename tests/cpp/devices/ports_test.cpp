// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "bus/bus.hpp"
#include "devices/debug_exit.hpp"
#include "devices/debug_port.hpp"
#include "devices/i8042.hpp"
#include "devices/pvpanic.hpp"
#include "devices/reset_control.hpp"
#include "recorders.hpp"

namespace vmm::devices {

using test::in8;
using test::out8;

TEST_CASE("the keyboard controller resets on 0xfe and on nothing else") {
  test::RecordingPower power;
  I8042Command command(power);
  for (unsigned value = 0; value < 0xfe; ++value) out8(command, 0, static_cast<uint8_t>(value));
  out8(command, 0, 0xff);
  CHECK(power.resets == 0);
  out8(command, 0, 0xfe);
  CHECK(power.resets == 1);
}

TEST_CASE("Linux gives up on the keyboard at once and never waits to write a command") {
  test::RecordingPower power;
  I8042Command command(power);
  I8042Data data;
  CHECK((in8(command, 0) & 0x01) != 0);  // i8042_flush(): endless output
  CHECK((in8(command, 0) & 0x02) == 0);  // kb_wait(): room for a command
  CHECK(in8(data, 0) == 0xff);
}

TEST_CASE("reset control resets with bit 2, and remembers the kind before that") {
  test::RecordingPower power;
  ResetControl control(power);
  out8(control, ResetControl::kRegister, 0x02);
  CHECK(power.resets == 0);
  CHECK(in8(control, ResetControl::kRegister) == 0x02);
  out8(control, ResetControl::kRegister, 0x06);
  CHECK(power.resets == 1);
  CHECK(power.reason == "reset control, port 0xcf9");
}

TEST_CASE("a look for PCI where there is none reaches no reset") {
  test::RecordingPower power;
  ResetControl control(power);
  out8(control, ResetControl::kRegister, 0x02);
  const std::array<std::byte, 4> address = {std::byte{0}, std::byte{0xff}, std::byte{0},
                                            std::byte{0x80}};
  control.write(0, address);  // slot 31, function 7
  CHECK(power.resets == 0);
  std::array<std::byte, 4> read{};
  control.read(0, read);
  CHECK(read[1] == std::byte{0xff});
  CHECK(in8(control, ResetControl::kRegister) == 0x02);
}

TEST_CASE("the debug port prints and identifies itself") {
  test::RecordingSink sink;
  DebugPort port(sink);
  CHECK(in8(port, 0) == 0xe9);
  out8(port, 0, 'h');
  out8(port, 0, 'i');
  CHECK(sink.text == "hi");
}

TEST_CASE("debug exit takes writes of every width") {
  test::RecordingPower power;
  DebugExit exit(power);
  out8(exit, 0, 5);
  CHECK(power.status == 11);
  const std::array<std::byte, 4> value = {std::byte{3}, std::byte{1}, std::byte{1}, {}};
  exit.write(0, std::span(value).first(2));
  CHECK(power.status == (0x103 << 1 | 1));
  exit.write(0, value);
  CHECK(power.status == (0x10103 << 1 | 1));
}

TEST_CASE("narrow ports take the first byte of a wide access") {
  test::RecordingPower power;
  Pvpanic pvpanic(power);
  I8042Command command(power);
  ResetControl control(power);
  bus::Bus bus;
  bus.attach(0x505, 1, pvpanic, "pvpanic");
  bus.attach(0x64, 1, command, "i8042");
  bus.attach(0xcf8, ResetControl::kSizeBytes, control, "reset");
  const std::array<std::byte, 4> panicked = {std::byte{1}, {}, {}, {}};
  bus.write(0x505, std::span(panicked).first(2));
  CHECK(power.panics == 1);
  bus.write(0x505, panicked);
  CHECK(power.panics == 2);
  const std::array<std::byte, 2> pulse = {std::byte{0xfe}, {}};
  bus.write(0x64, pulse);
  CHECK(power.resets == 1);
  const std::array<std::byte, 2> reset = {std::byte{0x06}, {}};
  bus.write(0xcf9, reset);
  CHECK(power.resets == 2);
}

TEST_CASE("pvpanic says what it takes; a panic ends the machine, a crash kernel does not") {
  test::RecordingPower power;
  Pvpanic pvpanic(power);
  CHECK(in8(pvpanic, 0) == 0x03);
  out8(pvpanic, 0, 0x02);
  out8(pvpanic, 0, 0xfc);
  CHECK(power.panics == 0);
  out8(pvpanic, 0, 0x01);
  CHECK(power.panics == 1);
}

}  // namespace vmm::devices
