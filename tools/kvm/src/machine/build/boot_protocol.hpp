// SPDX-License-Identifier: GPL-2.0-only
//
// Prepares a kernel or payload for its first instruction: loads the file, describes the machine to
// it by its boot protocol, and puts vCPU 0 into the state that the protocol requires. Called by
// machine/ while a machine is set up.
#pragma once

#include <cstdint>
#include <string>

#include "kvm/vcpu.hpp"
#include "loader/loaded_kernel.hpp"
#include "machine/config/config.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::machine {

struct BootPoint {
  loader::Protocol protocol = loader::Protocol::kLinux;
  uint64_t entry = 0;
};

// Throws base::LoadError, or base::ConfigError for a command line that is too long.
BootPoint load_guest(memory::GuestMemory& memory, const MachineConfig& config,
                     const std::string& command_line);

void enter_guest(kvm::Vcpu& vcpu, const BootPoint& point);

}  // namespace vmm::machine
