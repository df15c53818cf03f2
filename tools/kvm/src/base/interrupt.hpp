// SPDX-License-Identifier: GPL-2.0-only
//
// How a device interrupts: by a line of the machine, or by messages (MSI) that contain their
// destination. machine/ implements both, by an irqfd and by an ioctl, and hands them out; raise()
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

  // Writes `data` to `address`, both chosen by the guest; a message that is no interrupt is
  // ignored.
  virtual void signal(uint64_t address, uint32_t data) = 0;

  // Until drop(), each write to this eventfd sends such a message, and the caller must not read it.
  // False, with nothing changed, where that is not possible.
  virtual bool pass(int event_fd, uint64_t address, uint32_t data) = 0;
  // Once it returns, writes send no message any more; unread ones are still in the eventfd.
  virtual void drop(int event_fd) = 0;
};

}  // namespace vmm::base
