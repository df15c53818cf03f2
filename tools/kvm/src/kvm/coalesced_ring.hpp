// SPDX-License-Identifier: GPL-2.0-only
//
// The machine's ring of coalesced port writes: KVM queues a guest's writes here and lets it go on.
// One per machine, owned by machine/, which drains it on every exit, from the event loop's timer
// and at the end; drain() may be called on any of those threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>

struct kvm_coalesced_mmio_ring;

namespace vmm::kvm {

class CoalescedRing {
 public:
  using Sink = std::function<void(uint16_t port, std::span<const std::byte> data)>;

  // `page` is Vcpu::coalesced_page() of any vCPU and stays mapped as long as the ring is used.
  CoalescedRing(std::byte* page, Sink sink);

  // Hands every queued write to the sink, in the order the guest made them.
  void drain();

  uint64_t drained() const;

 private:
  bool empty() const;

  kvm_coalesced_mmio_ring* ring_;
  Sink sink_;
  mutable std::mutex mutex_;
  uint64_t drained_ = 0;
};

}  // namespace vmm::kvm
