// SPDX-License-Identifier: GPL-2.0-only
//
// Whole machines that sleep and are woken by the CMOS clock. Without /dev/kvm these tests report
// that and pass.
#include "machine/parts/acpi_power.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "arch/x86_64/layout.hpp"
#include "flat_code.hpp"

namespace vmm::machine {
namespace {

using test::FlatCode;
using test::have_kvm;
using test::run;

// Writes `vector` to the FACS, sets an alarm for each second and sleeps; if it does not sleep, it
// exits with an 8-bit 1. At 0x3c it resumes in power-on state, reads memory and the registers, and
// exits with their values.
std::vector<uint8_t> sleeper(uint8_t vector_low, uint8_t vector_high) {
  return {
      0xb8,       0x00, 0xe0,                                 // mov $0xe000, %ax
      0x8e,       0xc0,                                       // mov %ax, %es
      0x26,       0x66, 0xc7,        0x06, 0x4c, 0x00,        // movl $vector, %es:0x4c
      vector_low, 0x00, vector_high, 0x00,                    //
      0xc7,       0x06, 0x00,        0x02, 0x45, 0x23,        // movw $0x2345, 0x200
      0xba,       0x02, 0x06,        0xb8, 0x00, 0x04, 0xef,  // RTC_EN to PM1 enable
      0xb8,       0x01, 0xc0,        0xe7, 0x70,              // any second
      0xb8,       0x03, 0xc0,        0xe7, 0x70,              // any minute
      0xb8,       0x05, 0xc0,        0xe7, 0x70,              // any hour
      0xb8,       0x0b, 0x22,        0xe7, 0x70,              // with an interrupt
      0xba,       0x04, 0x06,        0xb8, 0x00, 0x24, 0xef,  // S3 to PM1 control
      0xb8,       0x01, 0x00,        0xe6, 0xf4,              // out $1
      0xb8,       0x00, 0x10,                                 // 3c: mov $0x1000, %ax
      0x8e,       0xd8,                                       // mov %ax, %ds
      0x66,       0x31, 0xc0,                                 // xor %eax, %eax
      0xa1,       0x00, 0x02,                                 // mov 0x200, %ax
      0x66,       0xc1, 0xe0,        0x10,                    // shl $16, %eax
      0xba,       0x00, 0x06,        0xed,                    // PM1 status
      0x66,       0xe7, 0xf4,                                 // out %eax
      0xf4,
  };
}

constexpr uint32_t kRtcAndWakeStatus = 0x8400;

}  // namespace

TEST_CASE("a guest sleeps, and an alarm makes it go on at its waking vector, memory kept") {
  if (!have_kvm()) return;
  const FlatCode code(sleeper(0x3c, 0x01));  // 0x1003c
  for (const bool split : {false, true}) {
    CAPTURE(split);
    MachineConfig config = code.payload();
    config.vcpus = 2;
    config.split_irqchip = split;
    Machine machine(config);
    const StopInfo stop = run(machine);
    CHECK(stop.reason == StopReason::kDebugExit);
    const uint32_t told = 0x2345U << 16 | kRtcAndWakeStatus;
    CHECK(stop.detail == std::to_string(told << 1 | 1));
  }
}

TEST_CASE("a guest that left no waking vector is reset when it wakes up") {
  if (!have_kvm()) return;
  const FlatCode code(sleeper(0x00, 0x00));
  Machine machine(code.payload());
  const StopInfo stop = run(machine);
  CHECK(stop.reason == StopReason::kReset);
  CHECK(stop.detail == "ACPI wake-up without a waking vector in FACS");
}

TEST_CASE("a machine that sleeps can be paused, resumed and stopped") {
  if (!have_kvm()) return;
  std::vector<uint8_t> code = sleeper(0x3c, 0x01);
  code.at(0x2d) = 0x02;  // without the alarm's interrupt nothing wakes it
  const FlatCode flat(code);
  MachineConfig config = flat.payload();
  config.vcpus = 2;
  Machine machine(config);
  machine.start();
  CHECK_FALSE(machine.wait(std::chrono::milliseconds(50)));
  machine.pause();
  machine.resume();
  machine.stop();
  const auto stop = machine.wait(std::chrono::seconds(10));
  REQUIRE(stop);
  CHECK(stop->reason == StopReason::kStopped);
}

}  // namespace vmm::machine
