// SPDX-License-Identifier: GPL-2.0-only
//
// Whole machines running a few bytes of guest code: such payloads run even on a KVM that cannot
// boot Linux. Without /dev/kvm these tests report that and pass.
#include "machine/machine.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "flat_code.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;
using test::FlatCode;
using test::have_kvm;
using test::Kernel;
using test::kLoadAt;
using test::received;
using test::run;

const std::vector<uint8_t> kSpin = {0xeb, 0xfe};  // jmp .

// Writes "hi" to the debug port, "!" to COM1, then resets through 0xcf9 with RBX = 0x1234.
const std::vector<uint8_t> kHello = {
    0xbb, 0x34, 0x12, 0x00, 0x00,  // mov $0x1234, %ebx
    0xb0, 'h',  0xe6, 0xe9,        // mov $'h', %al; out %al, $0xe9
    0xb0, 'i',  0xe6, 0xe9,        //
    0xba, 0xf8, 0x03, 0x00, 0x00,  // mov $0x3f8, %edx
    0xb0, '!',  0xee,              // mov $'!', %al; out %al, %dx
    0xba, 0xf9, 0x0c, 0x00, 0x00,  // mov $0xcf9, %edx
    0xb0, 0x06, 0xee,              // mov $6, %al; out %al, %dx
    0xeb, 0xfe,
};

}  // namespace

TEST_CASE("a guest prints, resets, and leaves its registers and counters") {
  if (!have_kvm()) return;
  const Kernel kernel(kHello);
  Machine machine(kernel.config());
  CHECK(machine.started_ns() == 0);
  const StopInfo stop = run(machine);
  CHECK(stop.reason == StopReason::kReset);
  CHECK(stop.detail == "reset control, port 0xcf9");
  CHECK(received(machine.console_fd()) == "hi!");
  CHECK(machine.started_ns() != 0);

  const auto snapshots = machine.snapshots();
  REQUIRE(snapshots.size() == 1);
  CHECK(snapshots[0].registers.rbx == 0x1234);
  CHECK(snapshots[0].registers.rip == kLoadAt + kHello.size() - 2);
  CHECK(snapshots[0].system.cs.selector == 0x10);
  CHECK(machine.last_exits().back() == "io write 0xcf9 0x6 (vcpu 0)");
  CHECK(machine.command_line().find("virtio_mmio.device=4K@0xd0000000:") == 0);
}

TEST_CASE("a triple fault is a shutdown") {
  if (!have_kvm()) return;
  const Kernel kernel({0x0f, 0x0b});  // ud2 without an IDT
  Machine machine(kernel.config());
  const StopInfo stop = run(machine);
  // A KVM that interprets code may fail at the instruction instead.
  CHECK((stop.reason == StopReason::kShutdown || stop.reason == StopReason::kInternalError));
  CHECK(stop.detail.find("vcpu 0") != std::string::npos);
}

TEST_CASE("a payload's own exit status is passed on") {
  if (!have_kvm()) return;
  const Kernel kernel({
      0xba,
      0xf4,
      0x00,
      0x00,
      0x00,  // mov $0xf4, %edx
      0xb8,
      0x05,
      0x00,
      0x00,
      0x00,  // mov $5, %eax
      0xef,  // out %eax, %dx
      0xeb,
      0xfe,
  });
  Machine machine(kernel.config());
  const StopInfo stop = run(machine);
  CHECK(stop.reason == StopReason::kDebugExit);
  CHECK(stop.detail == "11");
}

TEST_CASE("flat code starts in real mode, in its own segment") {
  if (!have_kvm()) return;
  const std::vector<uint8_t> code = {
      0x66, 0x31, 0xc0,  // xor %eax, %eax
      0x8c, 0xc8,        // mov %cs, %ax
      0xba, 0xf4, 0x00,  // mov $0xf4, %dx
      0x66, 0xef,        // out %eax, %dx
      0xeb, 0xfe,
  };
  const FlatCode flat(code);
  MachineConfig config = flat.config();
  config.protocol = loader::Protocol::kFlat;
  config.payload = true;
  Machine machine(config);
  const StopInfo stop = run(machine);
  CHECK(stop.reason == StopReason::kDebugExit);
  CHECK(stop.detail == std::to_string(0x1000 << 1 | 1));
}

TEST_CASE("a multiboot payload starts in protected mode and finds the test device") {
  if (!have_kvm()) return;
  // Loaded at 2 MiB by its own header: the latch must return the written value, which the code then
  // passes to the debug exit.
  const std::vector<uint8_t> code = {
      0x02, 0xb0, 0xad, 0x1b, 0x00, 0x00, 0x01, 0x00, 0xfe, 0x4f, 0x51, 0xe4,  // the header
      0x00, 0x00, 0x20, 0x00,                                                  // its own address
      0x00, 0x00, 0x20, 0x00,                                                  // the load address
      0x00, 0x00, 0x00, 0x00,        // up to the end of the file
      0x00, 0x00, 0x00, 0x00,        // no bss
      0x20, 0x00, 0x20, 0x00,        // entry, the next byte
      0x31, 0xc0,                    // xor %eax, %eax
      0xb8, 0x78, 0x56, 0x34, 0x12,  // mov $0x12345678, %eax
      0xe7, 0xe0,                    // out %eax, $0xe0
      0x31, 0xc0,                    // xor %eax, %eax
      0xe5, 0xe0,                    // in $0xe0, %eax
      0xe7, 0xf4,                    // out %eax, $0xf4
      0xeb, 0xfe,
  };
  const FlatCode flat(code);
  MachineConfig config = flat.config();
  config.payload = true;
  Machine machine(config);
  const StopInfo stop = run(machine);
  CHECK(stop.reason == StopReason::kDebugExit);
  CHECK(stop.detail == std::to_string(uint32_t{0x12345678} << 1 | 1));
  CHECK(machine.command_line().empty());
}

TEST_CASE("a guest that tells of its panic through pvpanic is stopped") {
  if (!have_kvm()) return;
  const Kernel kernel({
      0xba,
      0x05,
      0x05,
      0x00,
      0x00,  // mov $0x505, %edx
      0xb0,
      0x01,
      0xee,  // mov $1, %al; out %al, %dx
      0xeb,
      0xfe,
  });
  Machine machine(kernel.config());
  const StopInfo stop = run(machine);
  CHECK(stop.reason == StopReason::kGuestPanic);
  CHECK(name_of(stop.reason) == "guest_panic");
}

TEST_CASE("a guest that never exits is stopped from outside, with all its processors") {
  if (!have_kvm()) return;
  const Kernel kernel(kSpin);
  Machine machine(kernel.config(4));
  machine.start();
  CHECK_FALSE(machine.wait(20ms));
  const auto begin = std::chrono::steady_clock::now();
  machine.stop();
  const auto stop = machine.wait(10s);
  REQUIRE(stop);
  CHECK(stop->reason == StopReason::kStopped);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(machine.snapshots().size() == 4);
  CHECK(machine.snapshots()[0].registers.rip == kLoadAt);
}

TEST_CASE("the first reason to stop stays") {
  if (!have_kvm()) return;
  const Kernel kernel(kHello);
  Machine machine(kernel.config());
  run(machine);
  machine.stop();
  CHECK(machine.wait(0s)->reason == StopReason::kReset);
}

TEST_CASE("a machine that was never started can be stopped and destroyed") {
  if (!have_kvm()) return;
  const Kernel kernel(kSpin);
  Machine machine(kernel.config());
  machine.stop();
  CHECK(machine.wait(0s));
}

TEST_CASE("destroying a running machine stops it") {
  if (!have_kvm()) return;
  const Kernel kernel(kSpin);
  Machine machine(kernel.config(2));
  machine.start();
}

TEST_CASE("stopping races with starting without harm") {
  if (!have_kvm()) return;
  const Kernel kernel(kSpin);
  for (int i = 0; i < 10; ++i) {
    Machine machine(kernel.config(2));
    std::thread stopper([&] { machine.stop(); });
    machine.start();
    stopper.join();
    CHECK(machine.wait(10s));
  }
}

TEST_CASE("a machine that cannot be set up throws before it runs") {
  MachineConfig config;
  config.kernel = "/nonexistent/vmlinux";
  config.vcpus = 0;
  CHECK_THROWS_AS(Machine{config}, base::ConfigError);
  if (!have_kvm()) return;
  config.vcpus = 1;
  CHECK_THROWS_AS(Machine{config}, base::LoadError);
}

TEST_CASE("a vCPU can't be pinned to a CPU that the host has not got") {
  if (!have_kvm()) return;
  const Kernel kernel(kHello);
  MachineConfig config = kernel.config();
  config.pin = {8191};
  CHECK_THROWS_WITH_AS(Machine{config},
                       doctest::Contains("can't be pinned to CPU 8191: the host has"),
                       base::ConfigError);
}

TEST_CASE("pinned vCPUs run, and whoever starts them may run where it could") {
  if (!have_kvm()) return;
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  uint32_t first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  const Kernel kernel(kHello);
  MachineConfig config = kernel.config();
  config.pin = {first};
  Machine machine(config);
  CHECK(run(machine).reason == StopReason::kReset);
  cpu_set_t after;
  REQUIRE(sched_getaffinity(0, sizeof after, &after) == 0);
  CHECK(CPU_EQUAL(&before, &after));
}

TEST_CASE("an NMI reaches the vCPU it is for") {
  if (!have_kvm()) return;
  // Without a handler it ends the guest.
  const Kernel kernel(kSpin);
  Machine machine(kernel.config());
  machine.start();
  CHECK_THROWS_WITH_AS(machine.nmi(1), "no vCPU 1: this machine has 0 to 0", base::ConfigError);
  CHECK_FALSE(machine.wait(20ms));
  machine.nmi(0);
  const auto stop = machine.wait(10s);
  REQUIRE(stop);
  CHECK(stop->reason == StopReason::kShutdown);
}

TEST_CASE(
    "a serial line of the user's goes to a stream of its own, and COM1's to the console too") {
  if (!have_kvm()) return;
  const Kernel kernel({
      0xba, 0xe8, 0x03, 0x00, 0x00,  // mov $0x3e8, %edx
      0xb0, 'c',  0xee,              // mov $'c', %al; out %al, %dx
      0xba, 0xf8, 0x03, 0x00, 0x00,  // mov $0x3f8, %edx
      0xb0, 'a',  0xee,              // mov $'a', %al; out %al, %dx
      0xba, 0xf9, 0x0c, 0x00, 0x00,  // mov $0xcf9, %edx
      0xb0, 0x06, 0xee,              // mov $6, %al; out %al, %dx
      0xeb, 0xfe,
  });
  MachineConfig config = kernel.config();
  config.ttys = {0, 2};
  Machine machine(config);
  const auto ttys = machine.tty_fds();
  REQUIRE(ttys.size() == 2);
  CHECK(run(machine).reason == StopReason::kReset);
  CHECK(received(ttys.at(2)) == "c");
  CHECK(received(ttys.at(0)) == "a");
  CHECK(received(machine.console_fd()) == "a");
}

TEST_CASE("a viewer sees what the guest draws") {
  if (!have_kvm()) return;
  // Rows of 64 pixels; the code changes the first pixel of the second row for ever.
  const Kernel kernel({
      0xbf, 0x00, 0x01, 0x00, 0xc0,  // mov $0xc0000100, %edi
      0xff, 0x07,                    // incl (%rdi)
      0xeb, 0xfc,                    // jmp back
  });
  MachineConfig config = kernel.config();
  config.display = DisplayConfig{64, 64};
  std::optional<Machine> machine;
  try {
    machine.emplace(config);
  } catch (const base::ConfigError& error) {
    MESSAGE(error.what());  // no libvncserver
    return;
  }
  machine->start();
  const base::UniqueFd viewer = machine->connect_viewer();
  const auto exchange = [&](const std::string& sent, size_t wanted) {
    REQUIRE(send(viewer.get(), sent.data(), sent.size(), 0) == static_cast<ssize_t>(sent.size()));
    std::string got;
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (got.size() < wanted) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      got += received(viewer.get());
    }
    return got;
  };
  CHECK(exchange("", 12) == "RFB 003.008\n");
  exchange("RFB 003.008\n", 2);
  exchange("\1", 4);
  exchange("\1", 24 + 9);
  const std::string all("\3\1\0\0\0\0\0\x40\0\x40", 10);
  exchange(std::string("\2\0\0\1\0\0\0\0", 8) + std::string("\3\0\0\0\0\0\0\x40\0\x40", 10),
           16 + 64 * 64 * 4);
  // There is a change at each request.
  for (int i = 0; i < 5; ++i) CHECK(exchange(all, 16 + 64 * 4).size() >= 16 + 64 * 4);
}

TEST_CASE("a display is of a size that can be, and asked for where there is one") {
  if (!have_kvm()) return;
  const Kernel kernel(kSpin);
  MachineConfig config = kernel.config();
  Machine without(config);
  CHECK_THROWS_AS(without.connect_viewer(), base::ConfigError);
  config.display = DisplayConfig{64, 4097};
  CHECK_THROWS_WITH_AS(Machine{config}, "a display of 64x4097; use 64 to 4096 pixels either way",
                       base::ConfigError);
}

}  // namespace vmm::machine
