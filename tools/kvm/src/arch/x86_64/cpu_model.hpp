// SPDX-License-Identifier: GPL-2.0-only
//
// Selects the features of a guest's processors: those that KVM offers, without the ones that the
// user removed or did not ask for. Called by machine/ per vCPU, after guest_cpuid().
#pragma once

#include <string>
#include <vector>

#include "arch/x86_64/cpu_features.hpp"
#include "kvm/types.hpp"

namespace vmm::arch {

struct CpuModel {
  bool minimal = false;  // only the baseline; else all host features except svm and vmx
  std::vector<CpuFeature> added;
  std::vector<CpuFeature> wanted;  // added where the host's KVM offers them
  std::vector<CpuFeature> removed;
};

// "host" or "minimal" (host when left out), then "+NAME" or "-NAME" for single features, separated
// by commas. A "?" after a name makes the feature optional: like QEMU's -cpu, it is added only if
// the host's KVM has it. Throws base::ConfigError naming the word at fault.
CpuModel parse_cpu_model(const std::string& text);

// Removes the features that the model lacks, and with each of them the features that depend on it
// and its component of the extended state in leaf 0xd. Throws base::ConfigError when KVM does not
// offer a feature that was added.
void apply_cpu_model(std::vector<kvm::CpuidEntry>& cpuid, const CpuModel& model);

}  // namespace vmm::arch
