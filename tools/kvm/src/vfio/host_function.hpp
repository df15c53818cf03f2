// SPDX-License-Identifier: GPL-2.0-only
//
// Checks a PCI function of the host in sysfs before it is opened with VFIO: reports why it can't be
// assigned to a machine, and what to type. Plain functions, used while a machine is set up.
#pragma once

#include <string>

namespace vmm::vfio {

// `address` has the form 0000:00:10.0. Returns the number of its IOMMU group, as in /dev/vfio/.
// Throws base::ConfigError when there is no such function, no IOMMU, or another driver has it.
std::string iommu_group(const std::string& address);

}  // namespace vmm::vfio
