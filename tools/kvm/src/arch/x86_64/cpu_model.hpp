// SPDX-License-Identifier: GPL-2.0-only
//
// Which features a guest's processors have: what KVM offers, less what somebody took away and what
// nobody asked for. Called by machine/ per vCPU, after guest_cpuid().
#pragma once

#include <string>
#include <vector>

#include "arch/x86_64/cpu_features.hpp"
#include "kvm/types.hpp"

namespace vmm::arch {

struct CpuModel {
  bool minimal = false;  // the baseline alone; else all that the host has but svm and vmx
  std::vector<CpuFeature> added;
  std::vector<CpuFeature> wanted;  // added where the host's KVM offers them
  std::vector<CpuFeature> removed;
};

// "host" or "minimal" (host when left out), then "+NAME" or "-NAME" for single features, parted by
// commas. A "?" behind a name asks for no more than the host's KVM can do, as QEMU's -cpu does.
// Throws base::ConfigError naming the word at fault.
CpuModel parse_cpu_model(const std::string& text);

// Takes away what the model has not, and with a feature those that need it and its component of
// the extended state in leaf 0xd. Throws base::ConfigError when an added feature is not on offer.
void apply_cpu_model(std::vector<kvm::CpuidEntry>& cpuid, const CpuModel& model);

}  // namespace vmm::arch
