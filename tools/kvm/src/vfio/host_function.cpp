// SPDX-License-Identifier: GPL-2.0-only
#include "vfio/host_function.hpp"

#include <filesystem>
#include <system_error>

#include "base/error.hpp"

namespace vmm::vfio {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFunctions = "/sys/bus/pci/devices/";
constexpr const char* kDriver = "vfio-pci";

// The last part of the link's target; empty when there is no such link.
std::string link_name(const fs::path& link) {
  std::error_code ignored;
  return fs::read_symlink(link, ignored).filename().string();
}

std::string how_to_bind(const std::string& folder, const std::string& address, bool bound) {
  std::string text = "echo " + std::string(kDriver) + " > " + folder + "/driver_override; ";
  if (bound) text += "echo " + address + " > " + folder + "/driver/unbind; ";
  return text + "echo " + address + " > /sys/bus/pci/drivers_probe";
}

}  // namespace

std::string iommu_group(const std::string& address) {
  const std::string folder = kFunctions + address;
  const std::string name = "vfio-pci " + address;
  std::error_code ignored;
  if (address.find('/') != std::string::npos || !fs::is_directory(folder, ignored)) {
    throw base::ConfigError(name + ": this host has no such PCI function; `ls " + kFunctions +
                            "` lists them");
  }
  const std::string group = link_name(folder + "/iommu_group");
  if (group.empty()) {
    throw base::ConfigError(name + ": no IOMMU guards it; boot the host with one (intel_iommu=on)");
  }
  const std::string driver = link_name(folder + "/driver");
  if (driver != kDriver) {
    throw base::ConfigError(
        name + ": " + (driver.empty() ? "no driver" : "the driver " + driver) +
        " has it; give it to vfio-pci: " + how_to_bind(folder, address, !driver.empty()));
  }
  return group;
}

}  // namespace vmm::vfio
