// SPDX-License-Identifier: GPL-2.0-only
//
// Machines that are paused and resumed at any time. Without /dev/kvm these tests report that and
// pass.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.hpp"
#include "machine/machine.hpp"
#include "temporary_folder.hpp"
#include "tiny_kernel.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;
using test::count_of;
using test::counts_on;
using test::have_kvm;
using test::kCount;
using test::kCountAt;
using test::Kernel;

}  // namespace

TEST_CASE("a paused machine stands still, goes on when resumed, and can be stopped") {
  if (!have_kvm()) return;
  const Kernel kernel(kCount);
  Machine machine(kernel.config(2));
  machine.start();
  for (int i = 0; i < 20; ++i) {
    REQUIRE(counts_on(machine));
    machine.pause();
    machine.pause();
    CHECK(machine.paused());
    const uint32_t before = count_of(machine);
    std::this_thread::sleep_for(5ms);
    CHECK(count_of(machine) == before);
    machine.resume();
    machine.resume();
    CHECK_FALSE(machine.paused());
  }
  REQUIRE(counts_on(machine));
  machine.pause();
  machine.stop();
  const auto stop = machine.wait(10s);
  REQUIRE(stop);
  CHECK(stop->reason == StopReason::kStopped);
  machine.pause();
  CHECK_FALSE(machine.paused());
}

TEST_CASE("a machine paused before its start begins when it is resumed") {
  if (!have_kvm()) return;
  const Kernel kernel(kCount);
  Machine machine(kernel.config());
  machine.pause();
  machine.start();
  std::this_thread::sleep_for(20ms);
  CHECK(count_of(machine) == 0);
  machine.resume();
  CHECK(counts_on(machine));
}

TEST_CASE("a pause that is over before the start keeps no vCPU from the guest") {
  if (!have_kvm()) return;
  const Kernel kernel(kCount);
  Machine machine(kernel.config(2));
  machine.pause();
  machine.resume();
  machine.start();
  CHECK(counts_on(machine));
}

TEST_CASE("pauses that others end at once keep no vCPU from the guest") {
  if (!have_kvm()) return;
  const Kernel kernel(kCount);
  Machine machine(kernel.config(2));
  machine.start();
  std::atomic<bool> done = false;
  std::thread resumer([&] {
    while (!done) machine.resume();
  });
  bool counted = true;
  for (int i = 0; i < 50 && counted; ++i) {
    machine.pause();
    counted = counts_on(machine);
  }
  done = true;
  resumer.join();
  CHECK(counted);
  machine.pause();
  CHECK(machine.paused());
}

namespace {

// Reads 16 bytes of a disk's configuration space by `read` for ever. Counts the reads and, in the
// next word, those that differed from the first.
std::vector<uint8_t> reader(const std::vector<uint8_t>& read) {
  const std::vector<uint8_t> enable_sse = {
      0x0f, 0x20, 0xe0,              // mov %cr4, %rax
      0x0d, 0x00, 0x02, 0x00, 0x00,  // or $0x200, %eax: OSFXSR
      0x0f, 0x22, 0xe0,              // mov %rax, %cr4
      0x0f, 0x20, 0xc0,              // mov %cr0, %rax
      0x83, 0xe0, 0xfb,              // and $~4, %eax: not EM
      0x83, 0xc8, 0x02,              // or $2, %eax: MP
      0x0f, 0x22, 0xc0,              // mov %rax, %cr0
  };
  const std::vector<uint8_t> keep = {
      0x4c, 0x8b, 0x04, 0x25, 0x10, 0x00, 0x20, 0x00,  // mov 0x200010, %r8
      0x4c, 0x8b, 0x0c, 0x25, 0x18, 0x00, 0x20, 0x00,  // mov 0x200018, %r9
  };
  const std::vector<uint8_t> compare = {
      0xff, 0x04, 0x25, 0x00, 0x00, 0x20, 0x00,        // incl 0x200000
      0x4c, 0x3b, 0x04, 0x25, 0x10, 0x00, 0x20, 0x00,  // cmp 0x200010, %r8
      0x75, 0x0a,                                      // jne torn
      0x4c, 0x3b, 0x0c, 0x25, 0x18, 0x00, 0x20, 0x00,  // cmp 0x200018, %r9
      0x74, 0x07,                                      // je again
      0xff, 0x04, 0x25, 0x04, 0x00, 0x20, 0x00,        // torn: incl 0x200004
  };
  std::vector<uint8_t> code;
  for (const auto* part : {&enable_sse, &read, &keep, &read, &compare}) {
    code.insert(code.end(), part->begin(), part->end());
  }
  const size_t back = read.size() + compare.size() + 2;
  code.insert(code.end(), {0xeb, static_cast<uint8_t>(-back)});  // again: jmp to the second read
  return code;
}

// The second virtio device is the first disk; its configuration begins at 0x100.
const std::vector<uint8_t> kReadAtOnce = {
    0xbf, 0x00, 0x11, 0x00, 0xd0,                    // mov $0xd0001100, %edi
    0x0f, 0x10, 0x07,                                // movups (%rdi), %xmm0
    0x0f, 0x11, 0x04, 0x25, 0x10, 0x00, 0x20, 0x00,  // movups %xmm0, 0x200010
};
const std::vector<uint8_t> kReadByWords = {
    0xbe, 0x00, 0x11, 0x00, 0xd0,  // mov $0xd0001100, %esi
    0xbf, 0x10, 0x00, 0x20, 0x00,  // mov $0x200010, %edi
    0xb9, 0x04, 0x00, 0x00, 0x00,  // mov $4, %ecx
    0xf3, 0xa5,                    // rep movsl
};
constexpr uint64_t kTornAt = kCountAt + 4;

}  // namespace

TEST_CASE("an instruction that accesses a device several times is not torn by a pause") {
  if (!have_kvm()) return;
  const test::TemporaryFolder folder;
  const std::string disk = folder / "disk";
  std::filesystem::resize_file((std::ofstream(disk), disk), 5 << 20);
  for (const auto* read : {&kReadAtOnce, &kReadByWords}) {
    const Kernel kernel(reader(*read));
    MachineConfig config = kernel.config();
    config.disks = {{disk}};
    Machine machine(config);
    machine.start();
    REQUIRE(counts_on(machine));
    for (int i = 0; i < 200; ++i) {
      machine.pause();
      machine.resume();
    }
    REQUIRE(counts_on(machine));
    CHECK(count_of(machine, kTornAt) == 0);
  }
}

TEST_CASE("an instruction that writes to a device several times is finished before the end") {
  if (!have_kvm()) return;
  const Kernel kernel({
      0x0f, 0x20, 0xe0,                          // mov %cr4, %rax
      0x0d, 0x00, 0x02, 0x00, 0x00,              // or $0x200, %eax: OSFXSR
      0x0f, 0x22, 0xe0,                          // mov %rax, %cr4
      0x0f, 0x20, 0xc0,                          // mov %cr0, %rax
      0x83, 0xe0, 0xfb,                          // and $~4, %eax: not EM
      0x83, 0xc8, 0x02,                          // or $2, %eax: MP
      0x0f, 0x22, 0xc0,                          // mov %rax, %cr0
      0xbf, 0x00, 0x00, 0x00, 0xe0,              // mov $0xe0000000, %edi, an unclaimed address
      0x0f, 0x11, 0x07,                          // again: movups %xmm0, (%rdi)
      0xff, 0x04, 0x25, 0x00, 0x00, 0x20, 0x00,  // incl 0x200000
      0xeb, 0xf4,                                // jmp again
  });
  for (int i = 0; i < 30; ++i) {
    Machine machine(kernel.config());
    machine.start();
    REQUIRE(counts_on(machine));
    machine.pause();
    machine.resume();
    machine.stop();
    REQUIRE(machine.wait(10s));
    uint64_t writes = 0;
    for (const bus::AccessCount& count : machine.device_counters()) {
      if (count.name == "unclaimed-mmio") writes = count.writes;
    }
    // Two for each iteration, even if the last one has not been counted.
    CHECK(writes % 2 == 0);
    CHECK(writes / 2 - count_of(machine) <= 1);
  }
}

TEST_CASE("a machine is put back to its checkpoint, as often as it is asked to") {
  if (!have_kvm()) return;
  const Kernel kernel(kCount);
  MachineConfig config = kernel.config(2);
  config.rewindable = true;
  Machine machine(std::move(config));
  machine.start();
  REQUIRE(counts_on(machine));
  CHECK_THROWS_WITH_AS(machine.checkpoint(), "a checkpoint: the machine is not paused",
                       base::ConfigError);
  machine.pause();
  CHECK_THROWS_WITH_AS(machine.rewind(), "this machine has no checkpoint to go back to",
                       base::ConfigError);
  const uint32_t then = count_of(machine);
  machine.checkpoint();
  for (int again = 0; again < 10; ++again) {
    machine.resume();
    REQUIRE(counts_on(machine));
    machine.pause();
    CHECK(count_of(machine) != then);
    machine.rewind();
    CHECK(count_of(machine) == then);
  }
  CHECK_THROWS_WITH_AS(machine.checkpoint(), "this machine has a checkpoint already",
                       base::ConfigError);
  machine.stop();
  REQUIRE(machine.wait(10s));
}

TEST_CASE("a machine whose device can't be rewound names it, and goes on") {
  if (!have_kvm()) return;
  const Kernel kernel(kCount);
  MachineConfig config = kernel.config();
  config.rewindable = true;
  config.balloon_mib = 0;
  Machine machine(std::move(config));
  machine.start();
  machine.pause();
  CHECK_THROWS_WITH_AS(machine.checkpoint(), "virtio-balloon can't be rewound; leave it out",
                       base::ConfigError);
  machine.resume();
  REQUIRE(counts_on(machine));

  Machine plain(kernel.config());
  plain.start();
  plain.pause();
  CHECK_THROWS_WITH_AS(plain.checkpoint(), "this machine can't be rewound: make it with rewindable",
                       base::ConfigError);
}

}  // namespace vmm::machine
