// SPDX-License-Identifier: GPL-2.0-only
//
// The CPUID of each virtual processor: what KVM supports, made consistent with the machine's
// topology (one package, one thread per core). A pure function, called by machine/ per vCPU.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvm/types.hpp"

namespace vmm::arch {

struct CpuTopology {
  uint32_t apic_id;
  uint32_t vcpus;
};

// Bits that KVM_GET_SUPPORTED_CPUID leaves to the VMM.
struct CpuExtras {
  bool tsc_deadline = false;       // KVM_CAP_TSC_DEADLINE_TIMER
  uint32_t paravirt_features = 0;  // more bits for leaf KVM_CPUID_FEATURES
};

std::vector<kvm::CpuidEntry> guest_cpuid(std::span<const kvm::CpuidEntry> supported,
                                         CpuTopology topology, CpuExtras extras);

// All bits that XCR0 may have with this CPUID; 0 without XSAVE.
uint64_t supported_xcr0(std::span<const kvm::CpuidEntry> supported);

// Whether a guest could run KVM itself (KVM offers AMD SVM or Intel VMX).
bool offers_nesting(std::span<const kvm::CpuidEntry> supported);

}  // namespace vmm::arch
