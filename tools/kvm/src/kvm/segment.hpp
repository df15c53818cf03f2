// SPDX-License-Identifier: GPL-2.0-only
//
// Translation of segments and descriptor tables to and from <linux/kvm.h>. Private to kvm/, called
// only by Vcpu.
#pragma once

#include <linux/kvm.h>

#include "kvm/types.hpp"

namespace vmm::kvm {

inline kvm_segment to_kvm(const Segment& from) {
  kvm_segment to{};
  to.base = from.base;
  to.limit = from.limit;
  to.selector = from.selector;
  to.type = from.type;
  to.present = from.present;
  to.dpl = from.dpl;
  to.db = from.default_32;
  to.s = from.code_or_data;
  to.l = from.long_mode;
  to.g = from.page_granular;
  to.unusable = from.present == 0;
  return to;
}

inline Segment from_kvm(const kvm_segment& from) {
  Segment to;
  to.base = from.base;
  to.limit = from.limit;
  to.selector = from.selector;
  to.type = from.type;
  to.present = from.unusable ? uint8_t{0} : from.present;
  to.dpl = from.dpl;
  to.default_32 = from.db;
  to.code_or_data = from.s;
  to.long_mode = from.l;
  to.page_granular = from.g;
  return to;
}

inline kvm_dtable to_kvm(const DescriptorTable& from) {
  kvm_dtable to{};
  to.base = from.base;
  to.limit = from.limit;
  return to;
}

inline DescriptorTable from_kvm(const kvm_dtable& from) { return {from.base, from.limit}; }

}  // namespace vmm::kvm
