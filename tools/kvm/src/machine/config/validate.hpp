// SPDX-License-Identifier: GPL-2.0-only
//
// Checks what a configuration's types do not guarantee, so that the core is safe without checks by
// its caller. Called while a machine is created, on the caller's thread.
#pragma once

#include <cstdint>

#include "machine/config/config.hpp"

namespace vmm::machine {

// Throws a base::ConfigError with the value and what to use instead.
void validate(const MachineConfig& config);

// Checks the balloon's target, which may change while the machine runs.
void validate_balloon(uint64_t target_mib, uint64_t memory_mib);

}  // namespace vmm::machine
