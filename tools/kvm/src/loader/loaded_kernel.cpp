// SPDX-License-Identifier: GPL-2.0-only
#include "loader/loaded_kernel.hpp"

namespace vmm::loader {

std::optional<Protocol> protocol_named(std::string_view name) {
  if (name == "auto") return Protocol::kAuto;
  if (name == "linux") return Protocol::kLinux;
  if (name == "pvh") return Protocol::kPvh;
  if (name == "multiboot") return Protocol::kMultiboot;
  if (name == "flat") return Protocol::kFlat;
  return std::nullopt;
}

}  // namespace vmm::loader
