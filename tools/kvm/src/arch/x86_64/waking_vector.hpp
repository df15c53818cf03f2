// SPDX-License-Identifier: GPL-2.0-only
//
// Where an operating system wants to go on after a sleep without power: it writes an address into
// FACS and firmware jumps there (ACPI 6.5, 5.2.10). Called by machine/ when the machine wakes up.
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

// What the FACS at `facs` asks for; nothing when that is no place where code could be.
std::optional<WakingVector> waking_vector(const memory::GuestMemory& memory, uint64_t facs);

// Makes a processor in its power-on state begin there.
void enter_waking_vector(kvm::Vcpu& vcpu, const WakingVector& vector);

}  // namespace vmm::arch
