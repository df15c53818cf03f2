// SPDX-License-Identifier: GPL-2.0-only
//
// The registers of a vCPU after its machine has stopped. Values.
#pragma once

#include <cstdint>

#include "kvm/types.hpp"

namespace vmm::machine {

struct VcpuSnapshot {
  uint32_t vcpu = 0;
  kvm::Registers registers;
  kvm::SystemRegisters system;
};

}  // namespace vmm::machine
