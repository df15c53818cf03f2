// SPDX-License-Identifier: GPL-2.0-only
//
// The device file of KVM: what the host's KVM offers. Opened once per machine by machine/ (and by
// the probe), used only while the machine is set up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "kvm/device_path.hpp"
#include "kvm/types.hpp"

namespace vmm::kvm {

// The capabilities the VMM asks for by name, so that no one else needs <linux/kvm.h>.
enum class Capability {
  kCoalescedPio,
  kTscDeadlineTimer,
  kImmediateExit,
  kMaxVcpus,
  kIrqfd,
  kSignalMsi,
  kSplitIrqchip,
  kHypercallExits,  // a mask of the hypercalls that can be exits
};

class Kvm {
 public:
  static constexpr const char* kPath = kDevicePath;

  // Throws SystemError naming `path` or the ioctl, ConfigError if it is a file of another kind; a
  // foreign API version is a runtime_error.
  explicit Kvm(const std::string& path = kPath);

  // What KVM_CHECK_EXTENSION says: 0 when absent.
  int check_extension(Capability capability) const;

  std::vector<CpuidEntry> supported_cpuid() const;

  size_t run_size() const { return run_size_; }
  int fd() const { return fd_.get(); }

 private:
  base::UniqueFd fd_;
  size_t run_size_ = 0;
};

}  // namespace vmm::kvm
