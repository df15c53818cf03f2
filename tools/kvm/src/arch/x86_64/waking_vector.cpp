// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/waking_vector.hpp"

#include "arch/x86_64/registers.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

// Offsets in FACS (table 5.15).
constexpr uint64_t kFirmwareWakingVector = 12;
constexpr uint64_t kXFirmwareWakingVector = 24;
constexpr uint32_t kRealModeEnd = 1 << 20;

}  // namespace

std::optional<WakingVector> waking_vector(const memory::GuestMemory& memory, uint64_t facs) {
  const auto real =
      memory.read_object<uint32_t>(GuestAddress{facs + kFirmwareWakingVector}).value_or(0);
  const auto wide =
      memory.read_object<uint64_t>(GuestAddress{facs + kXFirmwareWakingVector}).value_or(0);
  // The wider field counts if it is not zero. It does not mean 64-bit mode, as the FACS does not
  // allow that.
  if (wide != 0 && wide <= UINT32_MAX) return WakingVector{static_cast<uint32_t>(wide), true};
  if (wide != 0 || real == 0 || real >= kRealModeEnd) return std::nullopt;
  return WakingVector{real, false};
}

void enter_waking_vector(kvm::Vcpu& vcpu, const WakingVector& vector) {
  if (vector.protected_mode) {
    enter_protected_mode(vcpu, vector.address, 0, 0);
    return;
  }
  kvm::SystemRegisters system = vcpu.system_registers();
  system.cs.selector = static_cast<uint16_t>(vector.address >> 4);
  system.cs.base = vector.address & ~0xfU;
  vcpu.set_system_registers(system);
  kvm::Registers registers;
  registers.rip = vector.address & 0xf;
  vcpu.set_registers(registers);
}

}  // namespace vmm::arch
