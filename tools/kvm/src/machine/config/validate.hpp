// SPDX-License-Identifier: GPL-2.0-only
//
// The checks of a configuration that its types leave open: what the core must know of it to be safe
// without its caller's own checks. Called while a machine is created, on the caller's thread.
#pragma once

#include <cstdint>

#include "machine/config/config.hpp"

namespace vmm::machine {

// Throws base::ConfigError naming the value and what to use instead.
void validate(const MachineConfig& config);

// The same for the balloon's target, which may change while the machine runs.
void validate_balloon(uint64_t target_mib, uint64_t memory_mib);

}  // namespace vmm::machine
