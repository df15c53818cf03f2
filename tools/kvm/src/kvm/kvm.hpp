// SPDX-License-Identifier: GPL-2.0-only
//
// KVM's device file, which reports what the host's KVM offers. Opened once per machine by machine/
// (and by the probe), used only while the machine is set up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "kvm/device_path.hpp"
#include "kvm/types.hpp"

namespace vmm::kvm {

// The capabilities that the VMM uses, by name, so that its other parts do not need <linux/kvm.h>.
enum class Capability {
  kCoalescedPio,
  kTscDeadlineTimer,
  kImmediateExit,
  kMaxVcpus,
  kIrqfd,
  kSignalMsi,
  kSplitIrqchip,
  kHypercallExits,  // a mask of the hypercalls that can become exits
};

class Kvm {
 public:
  static constexpr const char* kPath = kDevicePath;

  // Throws a SystemError naming `path` or the ioctl, a ConfigError if it is a file of another kind,
  // and a runtime_error for an unknown API version.
  explicit Kvm(const std::string& path = kPath);

  // The result of KVM_CHECK_EXTENSION: 0 when absent.
  int check_extension(Capability capability) const;

  std::vector<CpuidEntry> supported_cpuid() const;

  size_t run_size() const { return run_size_; }
  int fd() const { return fd_.get(); }

 private:
  base::UniqueFd fd_;
  size_t run_size_ = 0;
};

}  // namespace vmm::kvm
