// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/cpuid.hpp"

#include <algorithm>
#include <bit>

namespace vmm::arch {
namespace {

// Leaf 1.
constexpr uint32_t kEcxVmx = 1U << 5;
constexpr uint32_t kEcxTscDeadline = 1U << 24;
constexpr uint32_t kEcxHypervisor = 1U << 31;
constexpr uint32_t kEdxHtt = 1U << 28;
// Leaf 0x80000001.
constexpr uint32_t kEcxSvm = 1U << 2;
constexpr uint32_t kKvmFeatures = 0x40000001;  // KVM_CPUID_FEATURES

// Level types of leaves 0xb and 0x1f (SDM vol. 2, CPUID).
constexpr uint32_t kLevelThread = 1;
constexpr uint32_t kLevelCore = 2;

uint32_t with_bits(uint32_t word, unsigned shift, unsigned width, uint32_t value) {
  const uint32_t mask = ((1U << width) - 1) << shift;
  return (word & ~mask) | ((value << shift) & mask);
}

// The number of low bits of an APIC id that distinguish the cores of a package.
uint32_t core_bits(uint32_t vcpus) { return static_cast<uint32_t>(std::bit_width(vcpus - 1)); }

void patch_features(kvm::CpuidEntry& entry, CpuTopology topology, bool tsc_deadline) {
  entry.ebx = with_bits(entry.ebx, 24, 8, topology.apic_id);
  entry.ebx = with_bits(entry.ebx, 16, 8, std::min(topology.vcpus, 255U));
  entry.ecx |= kEcxHypervisor;
  if (tsc_deadline) entry.ecx |= kEcxTscDeadline;
  if (topology.vcpus > 1) {
    entry.edx |= kEdxHtt;
  } else {
    entry.edx &= ~kEdxHtt;
  }
}

// Leaf 4 (Intel) describes which cores share a cache: all of them share the last level, and no
// other.
void patch_cache(kvm::CpuidEntry& entry, CpuTopology topology) {
  if ((entry.eax & 0x1f) == 0) return;
  const uint32_t cores = topology.vcpus - 1;
  const uint32_t level = (entry.eax >> 5) & 7;
  entry.eax = with_bits(entry.eax, 26, 6, std::min(cores, 63U));
  entry.eax = with_bits(entry.eax, 14, 12, level >= 3 ? cores : 0);
}

void patch_amd_cores(kvm::CpuidEntry& entry, CpuTopology topology) {
  entry.ecx = with_bits(entry.ecx, 12, 4, core_bits(topology.vcpus));
  entry.ecx = with_bits(entry.ecx, 0, 8, topology.vcpus - 1);
}

void patch_amd_extended_apic(kvm::CpuidEntry& entry, CpuTopology topology) {
  entry.eax = topology.apic_id;
  entry.ebx = topology.apic_id & 0xff;  // core id; one thread per core
  entry.ecx = 0;                        // node 0 of one
}

bool is_topology_leaf(uint32_t function) { return function == 0xb || function == 0x1f; }

void append_topology(std::vector<kvm::CpuidEntry>& entries, uint32_t function,
                     CpuTopology topology) {
  const uint32_t id = topology.apic_id;
  entries.push_back({function, 0, true, 0, 1, kLevelThread << 8, id});
  entries.push_back(
      {function, 1, true, core_bits(topology.vcpus), topology.vcpus, kLevelCore << 8 | 1, id});
  entries.push_back({function, 2, true, 0, 0, 2, id});
}

}  // namespace

std::vector<kvm::CpuidEntry> guest_cpuid(std::span<const kvm::CpuidEntry> supported,
                                         CpuTopology topology, CpuExtras extras) {
  std::vector<kvm::CpuidEntry> entries;
  uint32_t max_leaf = 0;
  for (kvm::CpuidEntry entry : supported) {
    if (is_topology_leaf(entry.function)) continue;  // rebuilt below
    switch (entry.function) {
      case 0:
        max_leaf = entry.eax;
        break;
      case 1:
        patch_features(entry, topology, extras.tsc_deadline);
        break;
      case 4:
        patch_cache(entry, topology);
        break;
      case kKvmFeatures:
        entry.eax |= extras.paravirt_features;
        break;
      case 0x80000008:
        patch_amd_cores(entry, topology);
        break;
      case 0x8000001e:
        patch_amd_extended_apic(entry, topology);
        break;
    }
    entries.push_back(entry);
  }
  for (const uint32_t function : {0xbU, 0x1fU}) {
    if (max_leaf >= function) append_topology(entries, function, topology);
  }
  return entries;
}

uint64_t supported_xcr0(std::span<const kvm::CpuidEntry> supported) {
  for (const kvm::CpuidEntry& entry : supported) {
    if (entry.function == 0xd && entry.index == 0) return uint64_t{entry.edx} << 32 | entry.eax;
  }
  return 0;
}

bool offers_nesting(std::span<const kvm::CpuidEntry> supported) {
  return std::any_of(supported.begin(), supported.end(), [](const kvm::CpuidEntry& entry) {
    return (entry.function == 1 && (entry.ecx & kEcxVmx) != 0) ||
           (entry.function == 0x80000001 && (entry.ecx & kEcxSvm) != 0);
  });
}

}  // namespace vmm::arch
