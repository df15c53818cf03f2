// SPDX-License-Identifier: GPL-2.0-only
//
// The way from a file to its first instruction: loads it, tells it of the machine in the words of
// its protocol, and puts vCPU 0 into the state that the protocol asks for. Called by machine/ while
// a machine is set up.
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
