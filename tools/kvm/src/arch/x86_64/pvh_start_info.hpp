// SPDX-License-Identifier: GPL-2.0-only
//
// Xen's hvm_start_info, which describes the machine to a kernel started at its PVH entry. Called by
// machine/ once, after the kernel and the initrd are in memory.
#pragma once

#include "arch/x86_64/boot_params.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::arch {

// Writes it at layout::kPvhStartInfo (EBX points there), and the command line at
// layout::kCommandLine. Throws base::ConfigError when the line is too long for this kernel.
void write_pvh_start_info(memory::GuestMemory& memory, const BootInputs& inputs);

}  // namespace vmm::arch
