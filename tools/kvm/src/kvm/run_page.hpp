// SPDX-License-Identifier: GPL-2.0-only
//
// The mapping that a vCPU shares with KVM: struct kvm_run, and on further pages the port I/O data
// and the machine's coalesced ring. Owned by a Vcpu.
#pragma once

#include <cstddef>

struct kvm_run;

namespace vmm::kvm {

class RunPage {
 public:
  RunPage(int vcpu_fd, size_t size);
  ~RunPage();
  RunPage(RunPage&& other) noexcept;
  RunPage& operator=(RunPage&&) = delete;

  kvm_run* get() const { return run_; }
  std::byte* page(size_t number) const;
  size_t size() const { return size_; }

 private:
  kvm_run* run_;
  size_t size_;
};

}  // namespace vmm::kvm
