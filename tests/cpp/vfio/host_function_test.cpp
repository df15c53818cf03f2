// SPDX-License-Identifier: GPL-2.0-only
//
// Errors for functions that this host lacks. tests/boot/test_assigned.py tests real ones.
#include "vfio/host_function.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/error.hpp"

namespace vmm::test {
namespace {

std::string complaint(const std::string& address) {
  try {
    vfio::iommu_group(address);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a function that is not there is named, and where to look") {
  const std::string text = complaint("0000:ff:1f.7");
  CHECK(text.starts_with("vfio-pci 0000:ff:1f.7: this host has no such PCI function"));
  CHECK(text.find("/sys/bus/pci/devices/") != std::string::npos);
}

TEST_CASE("an address is no path") {
  CHECK(complaint("../../../kernel").find("no such PCI function") != std::string::npos);
}

}  // namespace vmm::test
