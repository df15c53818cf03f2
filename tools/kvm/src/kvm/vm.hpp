// SPDX-License-Identifier: GPL-2.0-only
//
// One virtual machine of the host's KVM: its memory slots, interrupt controllers and irqfds.
// machine/ owns it and sets it up on one thread before the first vCPU runs; afterwards only
// CoalescedRing, the irqfds, set_line(), and what says so below are in use.
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

  // Intel hosts without unrestricted guests need three pages and one page of guest-physical space
  // of their own (api.rst, KVM_SET_TSS_ADDR and KVM_SET_IDENTITY_MAP_ADDR).
  void set_reserved_pages(uint64_t identity_map, uint64_t tss);

  // PIC, IOAPIC and local APICs in the kernel; then the PIT, with port 0x61 left to KVM.
  void create_irqchip();
  void create_pit();

  // Whether an HPET stands in for the PIT, which then interrupts nobody. Any thread.
  void replace_pit(bool replaced);

  // Local APICs in the kernel alone; the first `pins` lines are those of an IOAPIC elsewhere.
  // Throws SystemError when this KVM cannot.
  void create_split_irqchip(uint32_t pins);
  // What lines send from now on, on any thread; a line without a route sends nothing. With an
  // IOAPIC and PICs in the kernel their pins lead there besides. False when this KVM cannot, and
  // nothing has changed.
  bool set_routes(std::span<const MessageRoute> routes);

  void add_memory(uint32_t slot, const memory::Region& region);
  // For memory that comes and goes while the machine runs, on any thread. False, and nothing is
  // there, when the place is taken.
  bool try_add_memory(uint32_t slot, const memory::Region& region);
  // The same memory from now on with or without a log of the pages that the guest writes, which
  // dirty_pages() tells and begins anew: a bit for each, the lowest first.
  void log_writes(uint32_t slot, const memory::Region& region, bool logged);
  std::vector<uint64_t> dirty_pages(uint32_t slot, uint64_t pages);
  void remove_memory(uint32_t slot);

  // A write to `event_fd` pulses the line, until it is removed. Any thread; trying is false when
  // this KVM cannot.
  void add_irqfd(uint32_t gsi, int event_fd);
  bool try_add_irqfd(uint32_t gsi, int event_fd);
  void remove_irqfd(uint32_t gsi, int event_fd);

  // While a doorbell is there its writes are no exits. Any thread; false, and they stay exits, when
  // this KVM cannot or another doorbell is in the way. Removing takes the same.
  bool add_doorbell(const Doorbell& doorbell);
  void remove_doorbell(const Doorbell& doorbell);

  // A message-signalled interrupt, any thread. One that leads nowhere is the guest's affair. Needs
  // Capability::kSignalMsi.
  void signal_msi(uint64_t address, uint32_t data);

  // Drives the line from here instead. On any thread.
  void set_line(uint32_t gsi, bool level);

  // False when this KVM cannot; then each write is an ordinary exit.
  bool add_coalesced_port(uint16_t port, uint32_t length);

  // Hypercalls with these numbers, bit by bit, become exits. False when this KVM cannot.
  bool add_hypercall_exits(uint64_t mask);

  const Kvm& host() const { return kvm_; }
  int fd() const { return fd_.get(); }

 private:
  const Kvm& kvm_;
  base::UniqueFd fd_;
  bool has_chip_ = false;  // PICs and IOAPIC in the kernel
};

}  // namespace vmm::kvm
