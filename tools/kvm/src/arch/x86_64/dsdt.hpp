// SPDX-License-Identifier: GPL-2.0-only
//
// What the DSDT says: how the machine is switched off, and which devices nothing else announces to
// a distribution's kernel. Called by acpi_tables(), which puts the table's header before it.
#pragma once

#include <cstddef>
#include <vector>

#include "arch/x86_64/acpi.hpp"

namespace vmm::arch {

std::vector<std::byte> dsdt_body(const AcpiDevices& devices);

}  // namespace vmm::arch
