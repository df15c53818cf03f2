// SPDX-License-Identifier: GPL-2.0-only
#include "machine/interrupts/vm_messages.hpp"

#include <cassert>

namespace vmm::machine {

bool VmMessages::pass(int event_fd, uint64_t address, uint32_t data) {
  const std::lock_guard lock(mutex_);
  const auto gsi = routes_.add(address, data);
  if (!gsi) return false;
  if (!vm_.try_add_irqfd(*gsi, event_fd)) {
    routes_.remove(*gsi);
    return false;
  }
  gsi_of_fd_[event_fd] = *gsi;
  return true;
}

void VmMessages::drop(int event_fd) {
  const std::lock_guard lock(mutex_);
  const auto passed = gsi_of_fd_.find(event_fd);
  assert(passed != gsi_of_fd_.end());
  vm_.remove_irqfd(passed->second, event_fd);
  routes_.remove(passed->second);
  gsi_of_fd_.erase(passed);
}

}  // namespace vmm::machine
