// SPDX-License-Identifier: GPL-2.0-only
//
// A byte stream between the guest's devices and the host program: a socket pair. machine/ owns both
// ends until it passes the device's end (or a duplicate of it) to a device.
#pragma once

#include "base/unique_fd.hpp"

namespace vmm::machine {

struct HostLink {
  // Makes both ends, non-blocking and close-on-exec.
  HostLink();

  // Another descriptor for the device's end.
  base::UniqueFd duplicate_device_end() const;

  base::UniqueFd host_end;
  base::UniqueFd device_end;
};

}  // namespace vmm::machine
