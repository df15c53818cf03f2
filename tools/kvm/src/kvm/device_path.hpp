// SPDX-License-Identifier: GPL-2.0-only
//
// Where KVM's device file usually is. Apart from Kvm, so that a plain value can name it.
#pragma once

namespace vmm::kvm {

inline constexpr const char* kDevicePath = "/dev/kvm";

}  // namespace vmm::kvm
