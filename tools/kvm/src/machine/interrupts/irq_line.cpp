// SPDX-License-Identifier: GPL-2.0-only
#include "machine/interrupts/irq_line.hpp"

#include <sys/eventfd.h>

#include "base/error.hpp"

namespace vmm::machine {

IrqLine::IrqLine(kvm::Vm& vm, uint32_t gsi)
    : event_(base::check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  vm.add_irqfd(gsi, event_.get());
}

void IrqLine::raise() {
  // KVM resets the counter at once; the write fails only if it is at its limit.
  static_cast<void>(eventfd_write(event_.get(), 1));
}

}  // namespace vmm::machine
