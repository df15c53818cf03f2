// SPDX-License-Identifier: GPL-2.0-only
//
// Can this host's /dev/kvm run Linux? Opening it proves little: some implementations interpret
// ring 0 and give up at instructions that every kernel uses. So a small guest executes them, under
// a deadline. Called through the bindings by whoever chooses a host; blocks its thread until then.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace vmm::machine {

enum class ProbeState {
  kAbsent,  // no /dev/kvm
  kDenied,  // there, but not for this user
  kBroken,  // opens, and cannot run a Linux guest
  kUsable,
};

struct ProbeResult {
  ProbeState state;
  std::string detail;   // what failed, or what was found
  bool nested = false;  // the guest could run KVM itself
};

std::string_view name_of(ProbeState state);

// Never throws for what KVM does, that is the result.
ProbeResult probe(std::chrono::milliseconds timeout);

}  // namespace vmm::machine
