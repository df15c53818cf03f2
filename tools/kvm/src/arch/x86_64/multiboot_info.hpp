// SPDX-License-Identifier: GPL-2.0-only
//
// What a Multiboot 1 payload is told of its machine: memory, command line, module. Called by
// machine/ once, after the payload and its module are in memory.
#pragma once

#include <cstdint>

#include "arch/x86_64/boot_params.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::arch {

// In EAX when the payload starts (section 3.2); EBX points to layout::kMultibootInfo.
inline constexpr uint32_t kMultibootBootMagic = 0x2badb002;

// Writes the information into its page. An initrd of `inputs` is the one module. Throws
// base::ConfigError when the command line is too long.
void write_multiboot_info(memory::GuestMemory& memory, const BootInputs& inputs);

}  // namespace vmm::arch
