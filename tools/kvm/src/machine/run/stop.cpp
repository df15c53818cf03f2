// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/stop.hpp"

namespace vmm::machine {

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::kReset:
      return "reset";
    case StopReason::kShutdown:
      return "shutdown";
    case StopReason::kStopped:
      return "stopped";
    case StopReason::kInternalError:
      return "internal_error";
    case StopReason::kFailEntry:
      return "fail_entry";
    case StopReason::kDebugExit:
      return "debug_exit";
    case StopReason::kGuestPanic:
      return "guest_panic";
    case StopReason::kSystemEvent:
      return "system_event";
    case StopReason::kVmmError:
      return "vmm_error";
  }
  return "vmm_error";
}

}  // namespace vmm::machine
