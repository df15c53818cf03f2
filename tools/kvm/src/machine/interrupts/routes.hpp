// SPDX-License-Identifier: GPL-2.0-only
//
// The routes of a VM's lines, which KVM takes only as a whole: the pins of an IOAPIC in the VMM,
// and further lines whose pulses become messages. Owned by machine/, and created before its users;
// any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "kvm/vm.hpp"

namespace vmm::machine {

class Routes {
 public:
  explicit Routes(kvm::Vm& vm) : vm_(vm) {}

  // Throws SystemError.
  void set_pins(std::vector<kvm::MessageRoute> pins);

  // Returns a line whose pulse sends this message from now on; nothing when KVM has no more lines,
  // or does not support routes.
  std::optional<uint32_t> add(uint64_t address, uint32_t data);
  // Frees a line, which must not be pulsed any more.
  void remove(uint32_t gsi);

 private:
  bool apply() const;

  kvm::Vm& vm_;
  std::mutex mutex_;  // guards the members below
  std::vector<kvm::MessageRoute> pins_;
  std::map<uint32_t, kvm::MessageRoute> messages_;
};

}  // namespace vmm::machine
