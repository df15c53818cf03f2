// SPDX-License-Identifier: GPL-2.0-only
//
// Tests whether this host's /dev/kvm can run Linux. Opening it proves little: some implementations
// interpret ring 0 and fail at instructions that every kernel uses. So a small guest executes them,
// under a deadline. Called through the bindings to choose a host; blocks its thread until the guest
// ends or the deadline has passed.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace vmm::machine {

enum class ProbeState {
  kAbsent,  // no /dev/kvm
  kDenied,  // exists, but this user may not open it
  kBroken,  // opens, but cannot run a Linux guest
  kUsable,
};

struct ProbeResult {
  ProbeState state;
  std::string detail;   // the failure, or the properties found
  bool nested = false;  // the guest could run KVM itself
};

std::string_view name_of(ProbeState state);

// Never throws for KVM's failures: they are the result.
ProbeResult probe(std::chrono::milliseconds timeout);

}  // namespace vmm::machine
