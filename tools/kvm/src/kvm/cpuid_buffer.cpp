// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/cpuid_buffer.hpp"

#include <linux/kvm.h>

namespace vmm::kvm {
namespace {

// Its size is part of the ioctls' numbers (see uapi/linux/stddef.h).
static_assert(sizeof(kvm_cpuid2) == 8);

size_t words_for(size_t entries) {
  const size_t bytes = sizeof(kvm_cpuid2) + entries * sizeof(kvm_cpuid_entry2);
  return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

}  // namespace

CpuidBuffer::CpuidBuffer(uint32_t capacity) : storage_(words_for(capacity)) {
  get()->nent = capacity;
}

CpuidBuffer::CpuidBuffer(std::span<const CpuidEntry> entries)
    : CpuidBuffer(static_cast<uint32_t>(entries.size())) {
  kvm_cpuid_entry2* out = get()->entries;
  for (const CpuidEntry& entry : entries) {
    out->function = entry.function;
    out->index = entry.index;
    out->flags = entry.index_matters ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
    out->eax = entry.eax;
    out->ebx = entry.ebx;
    out->ecx = entry.ecx;
    out->edx = entry.edx;
    ++out;
  }
}

kvm_cpuid2* CpuidBuffer::get() { return reinterpret_cast<kvm_cpuid2*>(storage_.data()); }

std::vector<CpuidEntry> CpuidBuffer::entries() {
  std::vector<CpuidEntry> all;
  for (uint32_t i = 0; i < get()->nent; ++i) {
    const kvm_cpuid_entry2& entry = get()->entries[i];
    all.push_back({entry.function, entry.index,
                   (entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0, entry.eax, entry.ebx,
                   entry.ecx, entry.edx});
  }
  return all;
}

}  // namespace vmm::kvm
