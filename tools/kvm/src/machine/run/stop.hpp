// SPDX-License-Identifier: GPL-2.0-only
//
// Why a machine stopped: the first reason wins. Values, passed from whichever thread met the
// reason to whoever waits.
#pragma once

#include <string>
#include <string_view>

namespace vmm::machine {

enum class StopReason {
  kReset,          // the guest asked for one
  kShutdown,       // triple fault
  kStopped,        // the host asked
  kInternalError,  // KVM_EXIT_INTERNAL_ERROR
  kFailEntry,      // KVM_EXIT_FAIL_ENTRY
  kDebugExit,      // a test payload's own status
  kGuestPanic,     // it said so through pvpanic
  kSystemEvent,
  kVmmError,  // an exit or a failure that this VMM has no answer to
};

struct StopInfo {
  StopReason reason;
  std::string detail;
};

// The word used on every surface: "reset", "internal_error", ...
std::string_view name_of(StopReason reason);

}  // namespace vmm::machine
