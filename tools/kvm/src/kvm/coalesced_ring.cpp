// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/coalesced_ring.hpp"

#include <linux/kvm.h>

#include <algorithm>

namespace vmm::kvm {
namespace {

// KVM_COALESCED_MMIO_MAX is written in terms of the kernel's PAGE_SIZE.
constexpr uint32_t kEntries = (4096 - sizeof(kvm_coalesced_mmio_ring)) / sizeof(kvm_coalesced_mmio);

}  // namespace

CoalescedRing::CoalescedRing(std::byte* page, Sink sink)
    : ring_(reinterpret_cast<kvm_coalesced_mmio_ring*>(page)), sink_(std::move(sink)) {}

bool CoalescedRing::empty() const {
  return __atomic_load_n(&ring_->first, __ATOMIC_RELAXED) ==
         __atomic_load_n(&ring_->last, __ATOMIC_ACQUIRE);
}

void CoalescedRing::drain() {
  if (empty()) return;
  const std::lock_guard lock(mutex_);
  // Drain at most one ring full: the guest adds entries meanwhile, so it may never become empty.
  for (uint32_t i = 0; i < kEntries && !empty(); ++i) {
    const uint32_t first = ring_->first % kEntries;
    const kvm_coalesced_mmio entry = ring_->coalesced_mmio[first];
    const size_t length = std::min<size_t>(entry.len, sizeof entry.data);
    sink_(static_cast<uint16_t>(entry.phys_addr),
          std::as_bytes(std::span(entry.data).first(length)));
    ++drained_;
    __atomic_store_n(&ring_->first, (first + 1) % kEntries, __ATOMIC_RELEASE);
  }
}

uint64_t CoalescedRing::drained() const {
  const std::lock_guard lock(mutex_);
  return drained_;
}

}  // namespace vmm::kvm
