// SPDX-License-Identifier: GPL-2.0-only
//
// The reason why a machine stopped; the first one wins. Values, passed from the thread that met the
// reason to the one that waits.
#pragma once

#include <string>
#include <string_view>

namespace vmm::machine {

enum class StopReason {
  kReset,          // requested by the guest
  kShutdown,       // triple fault
  kStopped,        // requested by the host
  kInternalError,  // KVM_EXIT_INTERNAL_ERROR
  kFailEntry,      // KVM_EXIT_FAIL_ENTRY
  kDebugExit,      // a test payload's own status
  kGuestPanic,     // the guest reported it by pvpanic
  kSystemEvent,
  kVmmError,  // an exit or a failure that this VMM can't handle
};

struct StopInfo {
  StopReason reason;
  std::string detail;
};

// The name in every interface and message: "reset", "internal_error", ...
std::string_view name_of(StopReason reason);

}  // namespace vmm::machine
