// SPDX-License-Identifier: GPL-2.0-only
//
// How a device interrupts: by one line of the machine, or by messages (MSI) that say themselves
// where they go. machine/ implements both, by an irqfd and by an ioctl, and hands them out; raise()
// and signal() may be called on any thread and never block.
#pragma once

#include <cstdint>

namespace vmm::base {

struct InterruptLine {
  virtual ~InterruptLine() = default;

  // An edge: the line pulses once.
  virtual void raise() = 0;
};

struct MessageInterrupt {
  virtual ~MessageInterrupt() = default;

  // A write of `data` to `address`, both as the guest chose them; what is no interrupt is ignored.
  virtual void signal(uint64_t address, uint32_t data) = 0;

  // Until drop(), what is written to this eventfd is such a message, and nobody else reads it.
  // False where that can't be; nothing has changed then.
  virtual bool pass(int event_fd, uint64_t address, uint32_t data) = 0;
  // Once it returns, no message comes of what is written; what nobody has read is there still.
  virtual void drop(int event_fd) = 0;
};

}  // namespace vmm::base
