// SPDX-License-Identifier: GPL-2.0-only
//
// The IOMMU domain of a machine's assigned devices: the groups they are in, and the memory mapped
// for them (Documentation/driver-api/vfio.rst; the type 1 IOMMU of linux/vfio.h). machine/ owns it,
// and sets it up on one thread before the first vCPU runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/unique_fd.hpp"

namespace vmm::vfio {

class Container {
 public:
  // Throws base::ConfigError when this host has no VFIO.
  Container();

  // Takes the group, with all its functions, and returns its descriptor, which the container keeps.
  // Throws base::ConfigError when another program has the group, or a driver has one of its
  // functions.
  int group(const std::string& number);

  // Maps `memory` at `address` for the devices and pins its pages. Call it after the first group().
  void map(uint64_t address, std::span<std::byte> memory);

 private:
  base::UniqueFd file_;
  std::map<std::string, base::UniqueFd> groups_;
};

}  // namespace vmm::vfio
