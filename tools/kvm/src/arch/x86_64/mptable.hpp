// SPDX-License-Identifier: GPL-2.0-only
//
// The MultiProcessor Specification table: how a kernel without ACPI learns of the processors and
// of the IOAPIC's wiring. Called by machine/ once, before boot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmm::arch {

// The floating pointer followed by the configuration table, to be placed at guest-physical
// `address`. Processors get APIC ids 0..vcpus-1; ISA line n arrives at IOAPIC pin n, which is how
// KVM routes its GSIs by default.
std::vector<std::byte> mp_table(uint64_t address, uint32_t vcpus);

}  // namespace vmm::arch
