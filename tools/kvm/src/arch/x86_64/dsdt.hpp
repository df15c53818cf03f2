// SPDX-License-Identifier: GPL-2.0-only
//
// The DSDT: how the machine is switched off, and the devices that nothing else announces to a
// distribution's kernel. Called by acpi_tables(), which adds the table's header.
#pragma once

#include <cstddef>
#include <vector>

#include "arch/x86_64/acpi.hpp"

namespace vmm::arch {

std::vector<std::byte> dsdt_body(const AcpiDevices& devices);

}  // namespace vmm::arch
