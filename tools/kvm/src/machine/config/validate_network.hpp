// SPDX-License-Identifier: GPL-2.0-only
//
// The part of validate() that checks network interfaces and the vsock.
#pragma once

#include "machine/config/config.hpp"

namespace vmm::machine {

// Throws a base::ConfigError with the value and what to use instead.
void validate_networks(const MachineConfig& config);

}  // namespace vmm::machine
