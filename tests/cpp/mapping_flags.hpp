// SPDX-License-Identifier: GPL-2.0-only
//
// The kernel's flags for a mapping of this process: VmFlags in /proc/self/smaps.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace vmm::test {

// Two letters each, as in proc_pid_smaps(5); empty where nothing is mapped.
inline std::string mapping_flags(const void* address) {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t start = 0, end = 0;
    char dash = 0;
    if (std::istringstream(line) >> std::hex >> start >> dash >> end && dash == '-') {
      inside = start <= wanted && wanted < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line.substr(8);
    }
  }
  return "";
}

}  // namespace vmm::test
