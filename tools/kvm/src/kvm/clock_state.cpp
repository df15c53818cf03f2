// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/clock_state.hpp"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

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

}  // namespace

ClockState::ClockState(const Vm& vm, std::span<Vcpu* const> vcpus) : offsets_(offsets_of(vcpus)) {
  kvm_clock_data clock{};
  if (offsets_.empty() || ioctl(vm.fd(), KVM_GET_CLOCK, &clock) != 0) return;
  host_tsc_ = __rdtsc();
  kvmclock_ns_ = clock.clock;
}

void ClockState::restore(Vm& vm, std::span<Vcpu* const> vcpus) const {
  if (!kvmclock_ns_) return;
  // An offset rather than the counter: KVM takes a counter that is written soon after another for
  // an attempt to synchronise them.
  const uint64_t elapsed = __rdtsc() - host_tsc_;
  for (size_t id = 0; id < vcpus.size(); ++id) {
    uint64_t value = offsets_[id] - elapsed;
    const kvm_device_attr attribute = offset_attribute(value);
    base::check(ioctl(vcpus[id]->fd(), KVM_SET_DEVICE_ATTR, &attribute), "KVM_VCPU_TSC_OFFSET");
  }
  kvm_clock_data clock{};
  clock.clock = *kvmclock_ns_;
  base::check(ioctl(vm.fd(), KVM_SET_CLOCK, &clock), "KVM_SET_CLOCK");
}

}  // namespace vmm::kvm
