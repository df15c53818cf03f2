// SPDX-License-Identifier: GPL-2.0-only
//
// The Multiboot 1 information structure, which describes the machine to a payload: memory, command
// line, module. Called by machine/ once, after the payload and its module are in memory.
#pragma once

#include <cstdint>

#include "arch/x86_64/boot_params.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::arch {

// The value of EAX when the payload starts (section 3.2); EBX points to layout::kMultibootInfo.
inline constexpr uint32_t kMultibootBootMagic = 0x2badb002;

// Writes the information into its page. The initrd in `inputs`, if any, is the only module. Throws
// base::ConfigError when the command line is too long.
void write_multiboot_info(memory::GuestMemory& memory, const BootInputs& inputs);

}  // namespace vmm::arch
