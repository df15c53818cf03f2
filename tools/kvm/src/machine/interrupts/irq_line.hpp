// SPDX-License-Identifier: GPL-2.0-only
//
// An interrupt line that uses an irqfd: raising it is one write to an eventfd, on any thread. Owned
// by machine/, one per device with an interrupt.
#pragma once

#include <cstdint>

#include "base/interrupt.hpp"
#include "base/unique_fd.hpp"
#include "kvm/vm.hpp"

namespace vmm::machine {

class IrqLine : public base::InterruptLine {
 public:
  IrqLine(kvm::Vm& vm, uint32_t gsi);

  void raise() override;

 private:
  base::UniqueFd event_;
};

}  // namespace vmm::machine
