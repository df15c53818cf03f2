// SPDX-License-Identifier: GPL-2.0-only
//
// The usual path of KVM's device file. Separate from Kvm, so that a plain value can name it.
#pragma once

namespace vmm::kvm {

inline constexpr const char* kDevicePath = "/dev/kvm";

}  // namespace vmm::kvm
