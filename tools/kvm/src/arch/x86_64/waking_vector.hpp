// SPDX-License-Identifier: GPL-2.0-only
//
// The address where an operating system resumes after a sleep without power: it writes it into the
// FACS, and firmware jumps there (ACPI 6.5, 5.2.10). Called by machine/ when the machine wakes up.
#pragma once

#include <cstdint>
#include <optional>

#include "kvm/vcpu.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::arch {

struct WakingVector {
  uint32_t address = 0;
  bool protected_mode = false;  // else real mode
};

// The vector in the FACS at `facs`; nothing when no code can be at that address.
std::optional<WakingVector> waking_vector(const memory::GuestMemory& memory, uint64_t facs);

// Makes a processor in its power-on state start at the vector.
void enter_waking_vector(kvm::Vcpu& vcpu, const WakingVector& vector);

}  // namespace vmm::arch
