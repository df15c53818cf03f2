// SPDX-License-Identifier: GPL-2.0-only
//
// A PCI function of the host by its address, as sysfs shows it, before VFIO is asked for it: says
// what stands in the way of giving it to a machine, and what to type. Plain functions, used while a
// machine is set up.
#pragma once

#include <string>

namespace vmm::vfio {

// `address` is like 0000:00:10.0. Returns the number of its IOMMU group, which /dev/vfio/ names.
// Throws base::ConfigError when there is no such function, no IOMMU, or another driver has it.
std::string iommu_group(const std::string& address);

}  // namespace vmm::vfio
