// SPDX-License-Identifier: GPL-2.0-only
//
// Where a character device's output goes. machine/ implements it; the device calls it on the
// thread of the vCPU that wrote, or for coalesced writes on whichever thread drains them, with its
// own mutex held. None of it waits.
#pragma once

#include <cstddef>
#include <span>

namespace vmm::devices {

struct ByteSink {
  virtual ~ByteSink() = default;

  // May hold bytes back until a line is complete, and keeps what the host does not read yet.
  virtual void write(std::span<const std::byte> bytes) = 0;

  // The guest paused: pass on what was held back.
  virtual void flush() = 0;

  // Whether the device is to say that it can send. False of a sink that may lose what it is given
  // now; the device is told when that has changed.
  virtual bool ready() const { return true; }
};

}  // namespace vmm::devices
