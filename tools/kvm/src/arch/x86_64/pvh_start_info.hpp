// SPDX-License-Identifier: GPL-2.0-only
//
// What a kernel entered by its PVH entry is told of its machine: Xen's hvm_start_info. Called by
// machine/ once, after the kernel and the initrd are in memory.
#pragma once

#include "arch/x86_64/boot_params.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::arch {

// At layout::kPvhStartInfo (EBX points there), with the command line at layout::kCommandLine.
// Throws base::ConfigError when the line is too long for this kernel.
void write_pvh_start_info(memory::GuestMemory& memory, const BootInputs& inputs);

}  // namespace vmm::arch
