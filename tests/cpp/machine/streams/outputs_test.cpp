// SPDX-License-Identifier: GPL-2.0-only
//
// Guests that write more than their host reads. Without /dev/kvm these tests report that and pass.
#include "machine/streams/outputs.hpp"

#include <doctest/doctest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <functional>
#include <future>

#include "machine/machine.hpp"
#include "tiny_kernel.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;
using test::comes_to_a_stand;
using test::count_of;
using test::counts_on;
using test::have_kvm;
using test::Kernel;
using test::received;

// Writes `lines` of one letter each to the serial port at `port`, counts them, and resets.
Kernel talker(uint16_t port, uint32_t lines) {
  const auto byte = [](uint32_t value, int number) {
    return static_cast<uint8_t>(value >> (8 * number));
  };
  return Kernel({
      0xbe,           byte(lines, 0),
      byte(lines, 1), byte(lines, 2),
      byte(lines, 3),  // mov $lines, %esi
      0xba,           byte(port, 0),
      byte(port, 1),  0x00,
      0x00,  // mov $port, %edx
      0xb9,           'a',
      0x00,           0x00,
      0x00,  // first: mov $'a', %ecx
      0x89,           0xc8,
      0xee,  // next: mov %ecx, %eax; out %al, %dx
      0xb0,           '\n',
      0xee,  // mov $'\n', %al; out %al, %dx
      0xff,           0x04,
      0x25,           0x00,
      0x00,           0x20,
      0x00,  // incl 0x200000
      0xff,           0xce,
      0x74,           0x09,  // dec %esi; jz end
      0xff,           0xc1,
      0x83,           0xf9,
      'z' + 1,  // inc %ecx; cmp $'z' + 1, %ecx
      0x75,           0xe8,
      0xeb,           0xe1,  // jne next; jmp first
      0xba,           0xf9,
      0x0c,           0x00,
      0x00,  // end: mov $0xcf9, %edx
      0xb0,           0x06,
      0xee,  // mov $6, %al; out %al, %dx
      0xeb,           0xfe,
  });
}

constexpr uint16_t kCom1 = 0x3f8;
constexpr uint16_t kCom2 = 0x2f8;
constexpr uint16_t kCom3 = 0x3e8;
constexpr uint16_t kDebugPort = 0xe9;
// Far more than the socket and the VMM can hold.
constexpr uint32_t kForEver = 1U << 31;
constexpr uint32_t kMany = 100'000;

std::string lines(uint32_t count) {
  std::string text;
  for (uint32_t i = 0; i < count; ++i) text += {static_cast<char>('a' + i % 26), '\n'};
  return text;
}

// Whether `act` returns by itself. If not, stops the machine so that it does.
bool returns(Machine& machine, const std::function<void()>& act) {
  auto done = std::async(std::launch::async, act);
  const bool in_time = done.wait_for(20s) == std::future_status::ready;
  if (!in_time) machine.stop();
  done.get();
  return in_time;
}

// Reads until `over` returns true and nothing is left to read.
std::string read_until(int fd, const std::function<bool()>& over) {
  std::string text;
  for (;;) {
    const bool last = over();
    const std::string more = received(fd);
    if (more.empty() && last) return text;
    if (more.empty()) std::this_thread::sleep_for(1ms);
    text += more;
  }
}

bool stopped(Machine& machine) { return machine.wait(0s).has_value(); }

}  // namespace

TEST_CASE("a machine whose console is full is paused, resumed, sent a break, and stopped") {
  if (!have_kvm()) return;
  const Kernel kernel = talker(kCom1, kForEver);
  Machine machine(kernel.config());
  machine.start();
  REQUIRE(comes_to_a_stand(machine));
  CHECK(machine.output_unsent());
  REQUIRE(returns(machine, [&] { machine.serial_sysrq('h'); }));
  for (int i = 0; i < 20; ++i) {
    machine.pause();
    CHECK(machine.paused());
    machine.resume();
  }
  REQUIRE(returns(machine, [&] {
    const uint32_t before = count_of(machine);
    while (count_of(machine) == before) received(machine.console_fd());
  }));
  REQUIRE(comes_to_a_stand(machine));
  machine.stop();
  const auto stop = machine.wait(10s);
  REQUIRE(stop);
  CHECK(stop->reason == StopReason::kStopped);
}

TEST_CASE("an output that is full holds as much as it may, however often its guest is paused") {
  if (!have_kvm()) return;
  for (const uint16_t port : {kCom1, kCom2, kDebugPort}) {
    const Kernel kernel = talker(port, kForEver);
    Machine machine(kernel.config(2));
    machine.start();
    REQUIRE(comes_to_a_stand(machine));
    const uint32_t before = count_of(machine);
    for (int i = 0; i < 200; ++i) {
      machine.pause();
      machine.resume();
    }
    CHECK(count_of(machine) == before);
  }
}

TEST_CASE("a console loses nothing, however late it is read and whatever happens meanwhile") {
  if (!have_kvm()) return;
  const Kernel kernel = talker(kCom1, kMany);
  Machine machine(kernel.config());
  machine.start();
  REQUIRE(comes_to_a_stand(machine));
  for (int i = 0; i < 50; ++i) {
    machine.pause();
    machine.resume();
  }
  // A reader that reads while the machine stops gets all output.
  const std::string text = read_until(machine.console_fd(), [&] { return stopped(machine); });
  CHECK(machine.wait(0s)->reason == StopReason::kReset);
  CHECK((text == lines(kMany)));
}

TEST_CASE("what a stopped machine still holds is there for whoever reads it afterwards") {
  if (!have_kvm()) return;
  const Kernel kernel = talker(kCom1, kForEver);
  Machine machine(kernel.config());
  machine.start();
  REQUIRE(comes_to_a_stand(machine));
  machine.stop();
  REQUIRE(machine.wait(10s));
  const std::string text =
      read_until(machine.console_fd(), [&] { return !machine.output_unsent(); });
  const uint32_t count = count_of(machine);
  CHECK((text == lines(count) || text == lines(count + 1) ||
         text == lines(count + 1).substr(0, 2 * count + 1)));
}

TEST_CASE("a console that nobody reads keeps the event loop from nothing") {
  if (!have_kvm()) return;
  const Kernel kernel = talker(kCom1, kForEver);
  MachineConfig config = kernel.config();
  config.ttys = {2};
  Machine machine(config);
  machine.start();
  REQUIRE(comes_to_a_stand(machine));
  // The loop takes what a terminal types.
  const int tty = machine.tty_fds().at(2);
  REQUIRE(send(tty, "ls\n", 3, 0) == 3);
  int waiting = 3;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (waiting != 0 && std::chrono::steady_clock::now() < deadline) {
    REQUIRE(ioctl(tty, SIOCOUTQ, &waiting) == 0);
  }
  CHECK(waiting == 0);
}

TEST_CASE("a terminal that nobody reads keeps neither its guest nor the console waiting") {
  if (!have_kvm()) return;
  for (const uint16_t port : {kCom3, kCom1}) {
    const Kernel kernel = talker(port, kMany);
    MachineConfig config = kernel.config();
    config.ttys = {0, 2};
    Machine machine(config);
    machine.start();
    std::string text;
    REQUIRE(returns(machine, [&] {
      text = read_until(machine.console_fd(), [&] { return stopped(machine); });
    }));
    CHECK(machine.wait(0s)->reason == StopReason::kReset);
    CHECK((text == (port == kCom1 ? lines(kMany) : "")));
    const std::string begin = received(machine.tty_fds().at(port == kCom1 ? 0 : 2));
    CHECK((!begin.empty() && begin == lines(kMany).substr(0, begin.size())));
  }
}

TEST_CASE("only exits that write to an output are kept waiting by one") {
  std::array<std::byte, 8> data{};
  const auto port = [&](uint16_t number) {
    return kvm::Exit(kvm::Pio{kvm::Direction::kWrite, number, 1, 1, std::span(data).first(1)});
  };
  CHECK(Outputs::written_by(port(0x3f8)));
  CHECK(Outputs::written_by(port(0x3fd)));
  CHECK(Outputs::written_by(port(0x2f8)));
  CHECK(Outputs::written_by(port(0xe9)));
  CHECK(Outputs::written_by(kvm::Hypercall{1, 0, data}));
  CHECK_FALSE(Outputs::written_by(port(0x3e8)));
  CHECK_FALSE(Outputs::written_by(port(0x70)));
  CHECK_FALSE(Outputs::written_by(kvm::Mmio{kvm::Direction::kWrite, 0x3f8, data}));
  CHECK_FALSE(Outputs::written_by(kvm::Interrupted{}));
}

}  // namespace vmm::machine
