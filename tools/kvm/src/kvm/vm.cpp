// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/vm.hpp"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <new>
#include <vector>

#include "base/error.hpp"

namespace vmm::kvm {
namespace {

// KVM_CREATE_VM waits for other threads of the machine; a signal then ends it with EINTR.
int create_vm(int kvm_fd) {
  for (;;) {
    const int fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
    if (fd >= 0 || errno != EINTR) return base::check(fd, "KVM_CREATE_VM");
  }
}

kvm_userspace_memory_region describe(uint32_t slot, const memory::Region& region) {
  kvm_userspace_memory_region description{};
  description.slot = slot;
  description.guest_phys_addr = region.start.value;
  description.memory_size = region.length;
  description.userspace_addr = reinterpret_cast<uintptr_t>(region.host);
  return description;
}

kvm_irq_routing_entry describe(const MessageRoute& route) {
  kvm_irq_routing_entry entry{};
  entry.gsi = route.gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<uint32_t>(route.address);
  entry.u.msi.address_hi = static_cast<uint32_t>(route.address >> 32);
  entry.u.msi.data = route.data;
  return entry;
}

kvm_irq_routing_entry pin_of(uint32_t gsi, uint32_t chip, uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = chip;
  entry.u.irqchip.pin = pin;
  return entry;
}

// Adds KVM's default routes (arch/x86/kvm/irq_comm.c, default_routing): each line leads to its pin
// of the IOAPIC, and the first ones also to the PICs.
void add_pins(std::vector<kvm_irq_routing_entry>& entries) {
  constexpr uint32_t kPicPins = 8;
  for (uint32_t gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; ++gsi) {
    entries.push_back(pin_of(gsi, KVM_IRQCHIP_IOAPIC, gsi));
    if (gsi >= 2 * kPicPins) continue;
    const uint32_t pic = gsi < kPicPins ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
    entries.push_back(pin_of(gsi, pic, gsi % kPicPins));
  }
}

kvm_irqfd describe_irqfd(uint32_t gsi, int event_fd) {
  kvm_irqfd description{};
  description.fd = static_cast<uint32_t>(event_fd);
  description.gsi = gsi;
  return description;
}

kvm_ioeventfd describe(const Doorbell& doorbell) {
  kvm_ioeventfd description{};
  description.addr = doorbell.address;
  description.fd = doorbell.event_fd;
  if (doorbell.value) {
    description.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
    description.datamatch = *doorbell.value;
    description.len = sizeof *doorbell.value;
  }
  return description;
}

}  // namespace

Vm::Vm(const Kvm& kvm) : kvm_(kvm), fd_(create_vm(kvm.fd())) {}

void Vm::set_reserved_pages(uint64_t identity_map, uint64_t tss) {
  base::check(ioctl(fd(), KVM_SET_IDENTITY_MAP_ADDR, &identity_map), "KVM_SET_IDENTITY_MAP_ADDR");
  base::check(ioctl(fd(), KVM_SET_TSS_ADDR, tss), "KVM_SET_TSS_ADDR");
}

void Vm::create_irqchip() {
  base::check(ioctl(fd(), KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
  has_chip_ = true;
}

void Vm::create_pit() {
  kvm_pit_config config{};
  config.flags = KVM_PIT_SPEAKER_DUMMY;
  base::check(ioctl(fd(), KVM_CREATE_PIT2, &config), "KVM_CREATE_PIT2");
}

void Vm::replace_pit(bool replaced) {
  kvm_pit_state2 state{};
  base::check(ioctl(fd(), KVM_GET_PIT2, &state), "KVM_GET_PIT2");
  state.flags &= ~static_cast<uint32_t>(KVM_PIT_FLAGS_HPET_LEGACY);
  if (replaced) state.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
  base::check(ioctl(fd(), KVM_SET_PIT2, &state), "KVM_SET_PIT2");
}

void Vm::create_split_irqchip(uint32_t pins) {
  kvm_enable_cap capability{};
  capability.cap = KVM_CAP_SPLIT_IRQCHIP;
  capability.args[0] = pins;
  base::check(ioctl(fd(), KVM_ENABLE_CAP, &capability), "KVM_CAP_SPLIT_IRQCHIP");
}

bool Vm::set_routes(std::span<const MessageRoute> routes) {
  std::vector<kvm_irq_routing_entry> entries;
  if (has_chip_) add_pins(entries);
  for (const MessageRoute& route : routes) entries.push_back(describe(route));
  // struct kvm_irq_routing ends in a flexible array, which ISO C++ cannot have.
  const auto bytes = std::as_bytes(std::span(entries));
  std::vector<std::byte> storage(sizeof(kvm_irq_routing) + bytes.size());
  auto* table = new (storage.data()) kvm_irq_routing{};
  table->nr = static_cast<uint32_t>(entries.size());
  std::ranges::copy(bytes, storage.begin() + sizeof(kvm_irq_routing));
  return ioctl(fd(), KVM_SET_GSI_ROUTING, table) == 0;
}

void Vm::add_memory(uint32_t slot, const memory::Region& region) {
  if (try_add_memory(slot, region)) return;
  throw base::SystemError("KVM_SET_USER_MEMORY_REGION", errno);
}

bool Vm::try_add_memory(uint32_t slot, const memory::Region& region) {
  const auto description = describe(slot, region);
  return ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &description) == 0;
}

void Vm::log_writes(uint32_t slot, const memory::Region& region, bool logged) {
  auto description = describe(slot, region);
  description.flags = logged ? KVM_MEM_LOG_DIRTY_PAGES : 0;
  base::check(ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &description), "KVM_SET_USER_MEMORY_REGION");
}

std::vector<uint64_t> Vm::dirty_pages(uint32_t slot, uint64_t pages) {
  constexpr uint64_t kBits = 64;
  std::vector<uint64_t> bits((pages + kBits - 1) / kBits);
  kvm_dirty_log log{};
  log.slot = slot;
  log.dirty_bitmap = bits.data();
  base::check(ioctl(fd(), KVM_GET_DIRTY_LOG, &log), "KVM_GET_DIRTY_LOG");
  return bits;
}

void Vm::remove_memory(uint32_t slot) {
  const bool removed = try_add_memory(slot, {memory::GuestAddress{0}, 0, nullptr});
  assert(removed);
  static_cast<void>(removed);
}

void Vm::add_irqfd(uint32_t gsi, int event_fd) {
  if (!try_add_irqfd(gsi, event_fd)) throw base::SystemError("KVM_IRQFD", errno);
}

bool Vm::try_add_irqfd(uint32_t gsi, int event_fd) {
  const auto description = describe_irqfd(gsi, event_fd);
  return ioctl(fd(), KVM_IRQFD, &description) == 0;
}

void Vm::remove_irqfd(uint32_t gsi, int event_fd) {
  auto description = describe_irqfd(gsi, event_fd);
  description.flags = KVM_IRQFD_FLAG_DEASSIGN;
  const bool removed = ioctl(fd(), KVM_IRQFD, &description) == 0;
  assert(removed);
  static_cast<void>(removed);
}

bool Vm::add_doorbell(const Doorbell& doorbell) {
  const auto description = describe(doorbell);
  return ioctl(fd(), KVM_IOEVENTFD, &description) == 0;
}

void Vm::remove_doorbell(const Doorbell& doorbell) {
  auto description = describe(doorbell);
  description.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
  const bool removed = ioctl(fd(), KVM_IOEVENTFD, &description) == 0;
  assert(removed);
  static_cast<void>(removed);
}

void Vm::signal_msi(uint64_t address, uint32_t data) {
  kvm_msi message{};
  message.address_lo = static_cast<uint32_t>(address);
  message.address_hi = static_cast<uint32_t>(address >> 32);
  message.data = data;
  // The error is ignored, as it may come from an invalid message of the guest.
  static_cast<void>(ioctl(fd(), KVM_SIGNAL_MSI, &message));
}

void Vm::set_line(uint32_t gsi, bool level) {
  kvm_irq_level description{};
  description.irq = gsi;
  description.level = level ? 1 : 0;
  base::check(ioctl(fd(), KVM_IRQ_LINE, &description), "KVM_IRQ_LINE");
}

bool Vm::add_coalesced_port(uint16_t port, uint32_t length) {
  if (kvm_.check_extension(Capability::kCoalescedPio) == 0) return false;
  kvm_coalesced_mmio_zone zone{};
  zone.addr = port;
  zone.size = length;
  zone.pio = 1;
  return ioctl(fd(), KVM_REGISTER_COALESCED_MMIO, &zone) == 0;
}

bool Vm::add_hypercall_exits(uint64_t mask) {
  const auto offered = static_cast<uint64_t>(kvm_.check_extension(Capability::kHypercallExits));
  if (mask == 0 || (mask & ~offered) != 0) return false;
  kvm_enable_cap capability{};
  capability.cap = KVM_CAP_EXIT_HYPERCALL;
  capability.args[0] = mask;
  return ioctl(fd(), KVM_ENABLE_CAP, &capability) == 0;
}

}  // namespace vmm::kvm
