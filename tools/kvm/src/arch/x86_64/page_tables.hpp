// SPDX-License-Identifier: GPL-2.0-only
//
// The state in which a 64-bit kernel is entered: page tables that map the first 4 GiB one to one,
// and the GDT of the boot protocol. Written once by machine/ (and by the probe) before boot.
#pragma once

#include "memory/guest_memory.hpp"

namespace vmm::arch {

// Writes them at layout::kPageTables, with 2 MiB pages. Memory must reach to their end (below 1
// MiB).
void write_page_tables(memory::GuestMemory& memory);

// Writes the GDT at layout::kGdt.
void write_gdt(memory::GuestMemory& memory);

}  // namespace vmm::arch
