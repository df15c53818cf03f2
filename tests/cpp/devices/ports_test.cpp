// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

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
  CHECK((in8(command, 0) & 0x01) != 0);  // i8042_flush(): output that never ends
  CHECK((in8(command, 0) & 0x02) == 0);  // kb_wait(): room for a command
  CHECK(in8(data, 0) == 0xff);
}

TEST_CASE("reset control resets with bit 2, and remembers the kind before that") {
  test::RecordingPower power;
  ResetControl control(power);
  out8(control, 0, 0x02);
  CHECK(power.resets == 0);
  CHECK(in8(control, 0) == 0x02);
  out8(control, 0, 0x06);
  CHECK(power.resets == 1);
  CHECK(power.reason == "reset control, port 0xcf9");
}

TEST_CASE("the debug port prints and identifies itself") {
  test::RecordingSink sink;
  DebugPort port(sink);
  CHECK(in8(port, 0) == 0xe9);
  out8(port, 0, 'h');
  out8(port, 0, 'i');
  CHECK(sink.text == "hi");
}

TEST_CASE("debug exit takes 32-bit writes only") {
  test::RecordingPower power;
  DebugExit exit(power);
  out8(exit, 0, 5);
  CHECK(power.status == 0);
  const std::array<std::byte, 4> value = {std::byte{3}, {}, {}, {}};
  exit.write(0, value);
  CHECK(power.status == 7);
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
