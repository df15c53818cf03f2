// SPDX-License-Identifier: GPL-2.0-only
//
// Processor features by the names that /proc/cpuinfo gives them, and where CPUID has each. A
// table; read by cpu_model.cpp while a machine is set up.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace vmm::arch {

enum class CpuidRegister : uint8_t { kEax, kEbx, kEcx, kEdx };

struct CpuFeature {
  std::string_view name;
  uint32_t function;
  uint32_t index;
  CpuidRegister where;
  uint8_t bit;
  bool baseline;  // original x86-64, and what a virtual machine can't do without
};

std::span<const CpuFeature> cpu_features();

std::optional<CpuFeature> cpu_feature_named(std::string_view name);

}  // namespace vmm::arch
