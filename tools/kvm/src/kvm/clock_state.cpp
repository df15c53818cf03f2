// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/clock_state.hpp"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include <cerrno>
#include <cstddef>

#include "base/error.hpp"

namespace vmm::kvm {
namespace {

// Documentation/virt/kvm/devices/vcpu.rst, 4.1.
kvm_device_attr offset_attribute(uint64_t& value) {
  kvm_device_attr attribute{};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<uintptr_t>(&value);
  return attribute;
}

std::vector<uint64_t> offsets_of(std::span<Vcpu* const> vcpus) {
  std::vector<uint64_t> offsets;
  for (const Vcpu* vcpu : vcpus) {
    uint64_t value = 0;
    const kvm_device_attr attribute = offset_attribute(value);
    if (ioctl(vcpu->fd(), KVM_GET_DEVICE_ATTR, &attribute) != 0) return {};
    offsets.push_back(value);
  }
  return offsets;
}

struct Moment {
  uint64_t kvmclock_ns;
  uint64_t host_tsc;
};

// kvmclock and the host's counter at one moment; nothing if this KVM has no such clock.
std::optional<Moment> moment_of(const Vm& vm) {
  kvm_clock_data clock{};
  if (ioctl(vm.fd(), KVM_GET_CLOCK, &clock) != 0) return std::nullopt;
  const bool exact = (clock.flags & KVM_CLOCK_HOST_TSC) != 0;
  return Moment{clock.clock, exact ? clock.host_tsc : __rdtsc()};
}

}  // namespace

ClockState::ClockState(const Vm& vm, std::span<Vcpu* const> vcpus) : offsets_(offsets_of(vcpus)) {
  const auto now = moment_of(vm);
  const int khz = ioctl(vcpus.front()->fd(), KVM_GET_TSC_KHZ, 0);
  if (offsets_.empty() || !now || khz <= 0) return;
  tsc_khz_ = static_cast<uint64_t>(khz);
  host_tsc_ = now->host_tsc;
  kvmclock_ns_ = now->kvmclock_ns;
}

void ClockState::restore(Vm& vm, std::span<Vcpu* const> vcpus) const {
  if (!kvmclock_ns_) return;
  kvm_clock_data clock{};
  clock.clock = *kvmclock_ns_;
  base::check(ioctl(vm.fd(), KVM_SET_CLOCK, &clock), "KVM_SET_CLOCK");
  const auto now = moment_of(vm);
  if (!now) throw base::SystemError("KVM_GET_CLOCK", errno);
  // The counters follow the clock to the tick, as Linux compares the two. An offset rather than the
  // counter: KVM takes a counter that is written soon after another for an attempt to synchronise
  // them.
  constexpr uint64_t kNsPerMs = 1'000'000;
  const uint64_t ticks = (now->kvmclock_ns - *kvmclock_ns_) * tsc_khz_ / kNsPerMs;
  for (size_t id = 0; id < vcpus.size(); ++id) {
    uint64_t value = offsets_[id] + host_tsc_ + ticks - now->host_tsc;
    const kvm_device_attr attribute = offset_attribute(value);
    base::check(ioctl(vcpus[id]->fd(), KVM_SET_DEVICE_ATTR, &attribute), "KVM_VCPU_TSC_OFFSET");
  }
}

}  // namespace vmm::kvm
