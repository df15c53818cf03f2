// SPDX-License-Identifier: GPL-2.0-only
//
// struct kvm_cpuid2 ends in a flexible array; this is its storage and its translation. Private to
// kvm/: used on the thread that sets the machine up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvm/types.hpp"

struct kvm_cpuid2;

namespace vmm::kvm {

class CpuidBuffer {
 public:
  explicit CpuidBuffer(uint32_t capacity);
  explicit CpuidBuffer(std::span<const CpuidEntry> entries);

  kvm_cpuid2* get();
  std::vector<CpuidEntry> entries();

 private:
  std::vector<uint64_t> storage_;
};

}  // namespace vmm::kvm
