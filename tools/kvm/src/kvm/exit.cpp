// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/exit.hpp"

#include <array>

namespace vmm::kvm {

std::string_view name_of(const Exit& exit) {
  static constexpr std::array<std::string_view, std::variant_size_v<Exit>> kNames = {
      "io",        "mmio",       "halt",         "shutdown",   "interrupted",    "debug",
      "hypercall", "ioapic_eoi", "system_event", "fail_entry", "internal_error", "unknown"};
  return kNames[exit.index()];
}

}  // namespace vmm::kvm
