// SPDX-License-Identifier: GPL-2.0-only
//
// One virtual machine of the host's KVM: its memory slots, interrupt controllers and irqfds.
// machine/ owns it and sets it up on one thread before the first vCPU runs; afterwards only
// CoalescedRing, the irqfds, set_line(), and members marked below are in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"
#include "kvm/kvm.hpp"
#include "kvm/types.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::kvm {

class Vm {
 public:
  explicit Vm(const Kvm& kvm);

  // Intel hosts without unrestricted guests reserve three pages and one page of guest-physical
  // space (api.rst, KVM_SET_TSS_ADDR and KVM_SET_IDENTITY_MAP_ADDR).
  void set_reserved_pages(uint64_t identity_map, uint64_t tss);

  // Creates PIC, IOAPIC and local APICs in the kernel; then the PIT, with port 0x61 handled by KVM.
  void create_irqchip();
  void create_pit();

  // Sets whether an HPET replaces the PIT, which then raises no interrupts. Any thread.
  void replace_pit(bool replaced);

  // Creates only the local APICs in the kernel; the first `pins` lines belong to an IOAPIC in
  // userspace. Throws SystemError when this KVM does not support it.
  void create_split_irqchip(uint32_t pins);
  // Sets the messages that lines send from now on; a line without a route sends nothing. An IOAPIC
  // and PICs in the kernel keep their pins as well. False, with nothing changed, when this KVM
  // refuses. Any thread.
  bool set_routes(std::span<const MessageRoute> routes);

  void add_memory(uint32_t slot, const memory::Region& region);
  // For memory that is added and removed while the machine runs, on any thread. False, with nothing
  // added, when the range is taken.
  bool try_add_memory(uint32_t slot, const memory::Region& region);
  // Turns logging of the pages that the guest writes on or off. dirty_pages() returns the log, one
  // bit per page, lowest first, and clears it.
  void log_writes(uint32_t slot, const memory::Region& region, bool logged);
  std::vector<uint64_t> dirty_pages(uint32_t slot, uint64_t pages);
  void remove_memory(uint32_t slot);

  // A write to `event_fd` pulses the line, until it is removed. Any thread; the try_ version
  // returns false when this KVM refuses.
  void add_irqfd(uint32_t gsi, int event_fd);
  bool try_add_irqfd(uint32_t gsi, int event_fd);
  void remove_irqfd(uint32_t gsi, int event_fd);

  // With a doorbell, its writes cause no exits. Any thread. False, and they remain exits, when this
  // KVM refuses or another doorbell overlaps. Removing needs an equal doorbell.
  bool add_doorbell(const Doorbell& doorbell);
  void remove_doorbell(const Doorbell& doorbell);

  // Sends a message-signalled interrupt, on any thread. An invalid message is dropped: it is the
  // guest's mistake. Needs Capability::kSignalMsi.
  void signal_msi(uint64_t address, uint32_t data);

  // Sets the line's level from userspace. Any thread.
  void set_line(uint32_t gsi, bool level);

  // False when this KVM does not support it; then each write is an ordinary exit.
  bool add_coalesced_port(uint16_t port, uint32_t length);

  // Makes the hypercalls whose bits are set in `mask` exits. False when this KVM does not support
  // it.
  bool add_hypercall_exits(uint64_t mask);

  const Kvm& host() const { return kvm_; }
  int fd() const { return fd_.get(); }

 private:
  const Kvm& kvm_;
  base::UniqueFd fd_;
  bool has_chip_ = false;  // PICs and IOAPIC in the kernel
};

}  // namespace vmm::kvm
