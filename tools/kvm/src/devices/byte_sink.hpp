// SPDX-License-Identifier: GPL-2.0-only
//
// Where a character device's output goes. machine/ implements it; the device calls it on the
// thread of the vCPU that wrote, or for coalesced writes on whichever thread drains them.
#pragma once

#include <cstddef>
#include <span>

namespace vmm::devices {

struct ByteSink {
  virtual ~ByteSink() = default;

  // May hold bytes back until a line is complete; blocks while the host does not read.
  virtual void write(std::span<const std::byte> bytes) = 0;

  // The guest paused: pass on what was held back.
  virtual void flush() = 0;
};

}  // namespace vmm::devices
