// SPDX-License-Identifier: GPL-2.0-only
//
// The destination of a character device's output. machine/ implements it; the device calls it with
// its own mutex held, on the thread of the vCPU that wrote or, for coalesced writes, on the thread
// that drains them. It never waits.
#pragma once

#include <cstddef>
#include <span>

namespace vmm::devices {

struct ByteSink {
  virtual ~ByteSink() = default;

  // May hold bytes back until a line is complete, and queues what the host does not read yet.
  virtual void write(std::span<const std::byte> bytes) = 0;

  // Passes on the bytes held back; called when the guest pauses.
  virtual void flush() = 0;

  // Whether the device should report an empty transmitter to the guest. False while the sink may
  // lose bytes; the device is notified when that changes.
  virtual bool ready() const { return true; }
};

}  // namespace vmm::devices
