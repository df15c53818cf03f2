// SPDX-License-Identifier: GPL-2.0-only
//
// Real writes by a guest of a few bytes. Without /dev/kvm these tests report that and pass.
#include "machine/interrupts/doorbells.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <variant>

#include "base/unique_fd.hpp"
#include "kvm/kvm.hpp"
#include "kvm/vcpu.hpp"

namespace vmm::machine {
namespace {

constexpr size_t kPage = 4096;
constexpr uint64_t kFirst = 0x8000;     // the doorbells of queues 0, 1 and 2
constexpr uint64_t kRegister = 0x9050;  // and the register for all
constexpr uint64_t kStride = 4;

// Real-mode code.
constexpr std::array<unsigned char, 26> kCode = {
    0xc7, 0x06, 0x04, 0x80, 0x01, 0x00,                    // movw $1, 0x8004
    0xc6, 0x06, 0x08, 0x80, 0x02,                          // movb $2, 0x8008
    0x66, 0xc7, 0x06, 0x50, 0x90, 0x01, 0x00, 0x00, 0x00,  // movl $1, 0x9050
    0xc6, 0x06, 0x00, 0x80, 0x00,                          // movb $0, 0x8000
    0xf4,                                                  // hlt
};

// The device serves queue 0 itself; 1 and 2 have doorbells.
class Rung final : public virtio::Device {
 public:
  uint32_t type() const override { return 0; }
  uint64_t features() const override { return 0; }
  std::span<const uint16_t> queue_max_sizes() const override { return kSizes; }
  void read_config(uint64_t, std::span<std::byte>) const override {}
  void write_config(uint64_t, std::span<const std::byte>) override {}
  uint32_t config_generation() const override { return 0; }
  void activate(virtio::Activation) override {}
  void notify(uint16_t) override {}
  void stop_queue(uint16_t) override {}
  void reset() override {}
  int doorbell(uint16_t queue) const override {
    return queue == 0 ? kNoDoorbell : events_[queue - 1U].get();
  }

  // How often a queue was rung since the last call.
  uint64_t rung(uint16_t queue) const {
    eventfd_t count = 0;
    return eventfd_read(doorbell(queue), &count) == 0 ? count : 0;
  }

 private:
  static constexpr std::array<uint16_t, 3> kSizes = {8, 8, 8};
  std::array<base::UniqueFd, 2> events_ = {base::UniqueFd(eventfd(0, EFD_NONBLOCK)),
                                           base::UniqueFd(eventfd(0, EFD_NONBLOCK))};
};

struct Guest {
  Guest() {
    memory = static_cast<std::byte*>(
        mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory != MAP_FAILED);
    std::memcpy(memory, kCode.data(), kCode.size());
    vm.add_memory(0, {memory::GuestAddress{0}, kPage, memory});
    vcpu.emplace(vm, 0);
  }
  ~Guest() {
    vcpu.reset();
    vm.remove_memory(0);
    munmap(memory, kPage);
  }

  // The addresses of those writes that were exits.
  std::string exits() {
    kvm::SystemRegisters system = vcpu->system_registers();
    system.cs.base = 0;
    system.cs.selector = 0;
    vcpu->set_system_registers(system);
    vcpu->set_registers({});
    std::string found;
    for (;;) {
      const kvm::Exit exit = vcpu->run();
      if (std::holds_alternative<kvm::Halt>(exit)) return found;
      const auto* write = std::get_if<kvm::Mmio>(&exit);
      REQUIRE(write != nullptr);
      found += std::to_string(write->address) + " ";
    }
  }

  std::byte* memory;
  kvm::Kvm kvm;
  kvm::Vm vm{kvm};
  std::optional<kvm::Vcpu> vcpu;
};

bool have_kvm() {
  if (access("/dev/kvm", R_OK | W_OK) == 0) return true;
  MESSAGE("no /dev/kvm: nothing tested");
  return false;
}

}  // namespace

TEST_CASE("doorbells ring without an exit, wherever they are") {
  if (!have_kvm()) return;
  Guest guest;
  const Rung device;
  Doorbells doorbells(guest.vm, device);
  CHECK(guest.exits() == "32772 32776 36944 32768 ");

  doorbells.place(kFirst, kStride);
  CHECK(guest.exits() == "36944 32768 ");
  CHECK(device.rung(1) == 1);
  CHECK(device.rung(2) == 1);

  doorbells.place(kFirst - kStride, kStride);  // the first one's address becomes the second's
  CHECK(guest.exits() == "32776 36944 ");
  CHECK(device.rung(1) == 1);
  CHECK(device.rung(2) == 1);

  doorbells.place(std::nullopt, kStride);
  CHECK(guest.exits() == "32772 32776 36944 32768 ");
  CHECK(device.rung(1) == 0);
}

TEST_CASE("a register for all doorbells rings those whose number is written") {
  if (!have_kvm()) return;
  Guest guest;
  const Rung device;
  Doorbells(guest.vm, device).share(kRegister);
  CHECK(guest.exits() == "32772 32776 32768 ");
  CHECK(device.rung(1) == 1);
  CHECK(device.rung(2) == 0);
}

TEST_CASE("a place that is taken stays an exit, and is let go of as it is") {
  if (!have_kvm()) return;
  Guest guest;
  const Rung device;
  const Rung other;
  Doorbells first(guest.vm, device);
  Doorbells second(guest.vm, other);
  first.place(kFirst, kStride);
  second.place(kFirst, kStride);
  CHECK(guest.exits() == "36944 32768 ");
  CHECK(device.rung(1) == 1);
  CHECK(other.rung(1) == 0);
  second.place(std::nullopt, kStride);
  CHECK(guest.exits() == "36944 32768 ");
  CHECK(device.rung(1) == 1);
}

}  // namespace vmm::machine
