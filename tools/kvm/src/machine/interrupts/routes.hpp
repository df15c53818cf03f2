// SPDX-License-Identifier: GPL-2.0-only
//
// Where the lines of a VM lead, all of which KVM takes at once: the pins of an IOAPIC that is not
// KVM's, and lines behind those whose pulses are messages. Owned by machine/, made before whoever
// has routes; any thread.
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

  // The line whose pulse is this message from now on; nothing when KVM has no more, or knows no
  // routes.
  std::optional<uint32_t> add(uint64_t address, uint32_t data);
  // Nobody pulses it any more.
  void remove(uint32_t gsi);

 private:
  bool apply() const;

  kvm::Vm& vm_;
  std::mutex mutex_;  // guards what follows
  std::vector<kvm::MessageRoute> pins_;
  std::map<uint32_t, kvm::MessageRoute> messages_;
};

}  // namespace vmm::machine
