// SPDX-License-Identifier: GPL-2.0-only
//
// What the devices that a machine was given may reach: the groups they are in, behind the host's
// IOMMU, and the memory mapped for them (Documentation/driver-api/vfio.rst; the type 1 IOMMU of
// linux/vfio.h). machine/ owns it, and sets it up on one thread before the first vCPU runs.
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

  // Takes the group, with all that is in it, and returns its descriptor, which stays ours. Throws
  // base::ConfigError when another program has it, or a driver one of its functions.
  int group(const std::string& number);

  // Devices find `memory` at `address` from now on; its pages are pinned. After the first group.
  void map(uint64_t address, std::span<std::byte> memory);

 private:
  base::UniqueFd file_;
  std::map<std::string, base::UniqueFd> groups_;
};

}  // namespace vmm::vfio
