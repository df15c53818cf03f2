// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/kvm.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "base/error.hpp"
#include "kvm/cpuid_buffer.hpp"

namespace vmm::kvm {
namespace {

// The API has been frozen at 12 since Linux 2.6.22 (Documentation/virt/kvm/api.rst, 4.1).
constexpr int kApiVersion = 12;

int number_of(Capability capability) {
  switch (capability) {
    case Capability::kCoalescedPio:
      return KVM_CAP_COALESCED_PIO;
    case Capability::kTscDeadlineTimer:
      return KVM_CAP_TSC_DEADLINE_TIMER;
    case Capability::kImmediateExit:
      return KVM_CAP_IMMEDIATE_EXIT;
    case Capability::kMaxVcpus:
      return KVM_CAP_MAX_VCPUS;
    case Capability::kIrqfd:
      return KVM_CAP_IRQFD;
    case Capability::kSignalMsi:
      return KVM_CAP_SIGNAL_MSI;
    case Capability::kSplitIrqchip:
      return KVM_CAP_SPLIT_IRQCHIP;
    case Capability::kHypercallExits:
      return KVM_CAP_EXIT_HYPERCALL;
  }
  return -1;
}

}  // namespace

Kvm::Kvm(const std::string& path)
    : fd_(base::check(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
                      "open " + path)) {
  const int version = ioctl(fd_.get(), KVM_GET_API_VERSION, 0);
  if (version < 0 && errno == ENOTTY) {
    throw base::ConfigError(path + " is not KVM's; name a device file of KVM, usually " + kPath);
  }
  base::check(version, "KVM_GET_API_VERSION");
  if (version != kApiVersion) {
    throw std::runtime_error("KVM_GET_API_VERSION: " + std::to_string(version) +
                             ", this VMM speaks 12");
  }
  run_size_ = static_cast<size_t>(
      base::check(ioctl(fd_.get(), KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"));
}

int Kvm::check_extension(Capability capability) const {
  return base::check(ioctl(fd_.get(), KVM_CHECK_EXTENSION, number_of(capability)),
                     "KVM_CHECK_EXTENSION");
}

std::vector<CpuidEntry> Kvm::supported_cpuid() const {
  // KVM refuses a buffer that is too small with E2BIG; it knows fewer than a hundred leaves.
  for (uint32_t capacity = 128; capacity <= 1024; capacity *= 2) {
    CpuidBuffer buffer(capacity);
    if (ioctl(fd_.get(), KVM_GET_SUPPORTED_CPUID, buffer.get()) == 0) return buffer.entries();
    if (errno != E2BIG) break;
  }
  throw base::SystemError("KVM_GET_SUPPORTED_CPUID", errno);
}

}  // namespace vmm::kvm
