// SPDX-License-Identifier: GPL-2.0-only
//
// One interrupt line of the machine, as a device sees it. machine/ implements it with an irqfd and
// gives one to each device; raise() may be called on any thread and never blocks.
#pragma once

namespace vmm::base {

struct InterruptLine {
  virtual ~InterruptLine() = default;

  // An edge: the line pulses once.
  virtual void raise() = 0;
};

}  // namespace vmm::base
