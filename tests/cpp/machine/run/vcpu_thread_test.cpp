// SPDX-License-Identifier: GPL-2.0-only
//
// One vCPU's thread on a real KVM, with the test as its machine. Without /dev/kvm these tests
// report that and pass.
#include "machine/run/vcpu_thread.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <condition_variable>
#include <cstring>
#include <mutex>

#include "kvm/kvm.hpp"
#include "tiny_kernel.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

constexpr size_t kPage = 4096;
constexpr std::array<unsigned char, 4> kCode = {0xe6, 0x10, 0xeb, 0xfc};  // again: out %al, $16

// Counts the guest's accesses, and holds its thread in one of them, like a slow device.
struct SlowMachine : RunControl {
  bool stopping() const override { return stopped_; }
  bool pausing() const override { return pausing_; }
  void wait_out_pause() override {}
  std::optional<StopInfo> handle_exit(uint32_t, const kvm::Exit& exit) override {
    std::unique_lock lock(mutex_);
    if (!std::holds_alternative<kvm::Pio>(exit)) return std::nullopt;
    ++accesses_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !slow_; });
    return std::nullopt;
  }
  void request_stop(StopInfo) override { stopped_ = true; }
  void vcpu_finished() override {}

  void be_slow(bool slow) {
    const std::lock_guard lock(mutex_);
    slow_ = slow;
    changed_.notify_all();
  }
  bool has_more_accesses(uint64_t than) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return accesses_ > than; });
  }
  uint64_t accesses() {
    const std::lock_guard lock(mutex_);
    return accesses_;
  }

  std::atomic<bool> stopped_ = false;
  std::atomic<bool> pausing_ = false;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t accesses_ = 0;
  bool slow_ = false;
};

struct Fixture {
  Fixture() {
    memory = static_cast<std::byte*>(
        mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory != MAP_FAILED);
    std::memcpy(memory, kCode.data(), kCode.size());
    vm.add_memory(0, {memory::GuestAddress{0}, kPage, memory});
    thread.emplace(vm, 0, machine);
    kvm::SystemRegisters system = thread->vcpu().system_registers();
    system.cs.base = 0;
    system.cs.selector = 0;
    thread->vcpu().set_system_registers(system);
    thread->vcpu().set_registers({});
  }
  ~Fixture() {
    machine.stopped_ = true;
    machine.be_slow(false);
    thread->kick();
    thread.reset();
    vm.remove_memory(0);
    munmap(memory, kPage);
  }

  std::byte* memory;
  kvm::Kvm kvm;
  kvm::Vm vm{kvm};
  SlowMachine machine;
  std::optional<VcpuThread> thread;
};

}  // namespace

TEST_CASE("a pause that its vCPU was too slow to see keeps it from nothing") {
  if (!test::have_kvm()) return;
  Fixture fixture;
  SlowMachine& machine = fixture.machine;
  machine.be_slow(true);
  fixture.thread->start();
  REQUIRE(machine.has_more_accesses(0));
  machine.pausing_ = true;
  fixture.thread->kick();
  machine.pausing_ = false;  // given up
  machine.be_slow(false);
  CHECK(machine.has_more_accesses(machine.accesses() + 100));
}

TEST_CASE("a kick without a reason costs a vCPU no more than an exit") {
  if (!test::have_kvm()) return;
  Fixture fixture;
  fixture.thread->kick();  // before there is a thread
  fixture.thread->start();
  REQUIRE(fixture.machine.has_more_accesses(0));
  for (int i = 0; i < 100; ++i) fixture.thread->kick();
  CHECK(fixture.machine.has_more_accesses(fixture.machine.accesses() + 100));
}

}  // namespace vmm::machine
