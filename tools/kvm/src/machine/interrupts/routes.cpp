// SPDX-License-Identifier: GPL-2.0-only
#include "machine/interrupts/routes.hpp"

#include <cerrno>
#include <utility>

#include "base/error.hpp"
#include "devices/io_apic.hpp"

namespace vmm::machine {

void Routes::set_pins(std::vector<kvm::MessageRoute> pins) {
  const std::lock_guard lock(mutex_);
  pins_ = std::move(pins);
  if (!apply()) throw base::SystemError("KVM_SET_GSI_ROUTING", errno);
}

std::optional<uint32_t> Routes::add(uint64_t address, uint32_t data) {
  const std::lock_guard lock(mutex_);
  uint32_t gsi = devices::IoApic::kPins;
  while (messages_.contains(gsi)) ++gsi;
  messages_[gsi] = {gsi, address, data};
  if (apply()) return gsi;
  messages_.erase(gsi);
  return std::nullopt;
}

// KVM keeps the route until the next change, which comes before the line can be used again.
void Routes::remove(uint32_t gsi) {
  const std::lock_guard lock(mutex_);
  messages_.erase(gsi);
}

bool Routes::apply() const {
  std::vector<kvm::MessageRoute> all = pins_;
  for (const auto& [gsi, route] : messages_) all.push_back(route);
  return vm_.set_routes(all);
}

}  // namespace vmm::machine
