// SPDX-License-Identifier: GPL-2.0-only
//
// Real interrupts of a vCPU that never runs. Without /dev/kvm these tests report that and pass.
#include "machine/interrupts/vm_messages.hpp"

#include <doctest/doctest.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "kvm/kvm.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

// A message for the processor whose APIC id is 0, and its vector (SDM vol. 3, 11.11).
constexpr uint64_t kToFirst = 0xfee00000;
constexpr uint32_t kVector = 0x41;

// Registers of the local APIC (11.4.1).
constexpr size_t kSpurious = 0xf0;
constexpr uint32_t kEnabled = 0x1ff;
constexpr size_t kRequests = 0x200;  // 32 vectors every 16 bytes

struct Guest {
  Guest() {
    vm.create_irqchip();
    vcpu = base::UniqueFd(base::check(ioctl(vm.fd(), KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU"));
    kvm_lapic_state apic = get();
    std::memcpy(apic.regs + kSpurious, &kEnabled, sizeof kEnabled);
    set(apic);
  }

  kvm_lapic_state get() const {
    kvm_lapic_state apic;
    REQUIRE(ioctl(vcpu.get(), KVM_GET_LAPIC, &apic) == 0);
    return apic;
  }
  void set(const kvm_lapic_state& apic) const {
    REQUIRE(ioctl(vcpu.get(), KVM_SET_LAPIC, &apic) == 0);
  }

  // Takes a pending interrupt. KVM may need some time to deliver it.
  bool hears(std::chrono::milliseconds patience = 5s) const {
    constexpr size_t place = kRequests + kVector / 32 * 16;
    for (auto waited = 0ms; waited <= patience; waited += 1ms) {
      kvm_lapic_state apic = get();
      uint32_t requests;
      std::memcpy(&requests, apic.regs + place, sizeof requests);
      if (requests == 1U << kVector % 32) {
        std::memset(apic.regs + place, 0, sizeof requests);
        set(apic);
        return true;
      }
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  kvm::Kvm kvm;
  kvm::Vm vm{kvm};
  Routes routes{vm};
  VmMessages messages{vm, routes};
  base::UniqueFd vcpu;
};

struct Event {
  base::UniqueFd fd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  void write() const { REQUIRE(eventfd_write(fd.get(), 1) == 0); }
  bool unread() const {
    eventfd_t count = 0;
    return eventfd_read(fd.get(), &count) == 0;
  }
};

bool have_kvm() {
  if (access("/dev/kvm", R_OK | W_OK) == 0) return true;
  MESSAGE("no /dev/kvm: nothing tested");
  return false;
}

}  // namespace

TEST_CASE("an eventfd that is passed on interrupts the guest until it is dropped") {
  if (!have_kvm()) return;
  Guest guest;
  const Event event;
  REQUIRE(guest.messages.pass(event.fd.get(), kToFirst, kVector));
  event.write();
  CHECK(guest.hears());
  CHECK(!event.unread());

  guest.messages.drop(event.fd.get());
  event.write();
  CHECK(!guest.hears(20ms));
  CHECK(event.unread());
}

TEST_CASE("what was written before an eventfd is passed on is a message as well") {
  if (!have_kvm()) return;
  Guest guest;
  const Event event;
  event.write();
  REQUIRE(guest.messages.pass(event.fd.get(), kToFirst, kVector));
  CHECK(guest.hears());
}

TEST_CASE("messages have lines of their own, which are used again") {
  if (!have_kvm()) return;
  Guest guest;
  const Event first;
  const Event second;
  REQUIRE(guest.messages.pass(first.fd.get(), kToFirst, kVector));
  REQUIRE(guest.messages.pass(second.fd.get(), kToFirst, kVector));
  guest.messages.drop(first.fd.get());
  second.write();
  CHECK(guest.hears());
  REQUIRE(guest.messages.pass(first.fd.get(), kToFirst, kVector));
  first.write();
  CHECK(guest.hears());
}

TEST_CASE("a message that KVM does not take is left to its sender") {
  if (!have_kvm()) return;
  Guest guest;
  CHECK_FALSE(guest.messages.pass(-1, kToFirst, kVector));
  CHECK(guest.routes.add(kToFirst, kVector) == 24U);  // after the pins
}

TEST_CASE("routes for messages leave the pins of KVM's controllers theirs") {
  if (!have_kvm()) return;
  Guest guest;
  constexpr uint32_t kGsi = 4;
  const Event event;
  REQUIRE(guest.routes.add(kToFirst, kVector + 1).has_value());
  kvm_irqchip chip{};
  chip.chip_id = KVM_IRQCHIP_IOAPIC;
  REQUIRE(ioctl(guest.vm.fd(), KVM_GET_IRQCHIP, &chip) == 0);
  chip.chip.ioapic.redirtbl[kGsi].bits = kVector;
  REQUIRE(ioctl(guest.vm.fd(), KVM_SET_IRQCHIP, &chip) == 0);
  guest.vm.add_irqfd(kGsi, event.fd.get());
  event.write();
  CHECK(guest.hears());
}

}  // namespace vmm::machine
