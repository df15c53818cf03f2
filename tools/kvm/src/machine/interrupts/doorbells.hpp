// SPDX-License-Identifier: GPL-2.0-only
//
// Registers with KVM the doorbells of queues that are served elsewhere (Device::doorbell()), at the
// addresses that the transport gives them. Built and owned by machine/ with the device; place() is
// called by one thread at a time. A doorbell that KVM refuses remains an exit, which the transport
// handles.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kvm/vm.hpp"
#include "virtio/device.hpp"

namespace vmm::machine {

class Doorbells {
 public:
  // Both outlive it. Doorbells that are still registered when it is destroyed end with the VM.
  Doorbells(kvm::Vm& vm, const virtio::Device& device);

  // Registers doorbells at one register for all queues, which drivers write a queue's number to
  // (virtio 1.2, 4.2.2).
  void share(uint64_t address);

  // Registers one doorbell per queue, `stride` bytes apart, from `first` on; without `first`,
  // removes all of them (4.1.4.4).
  void place(std::optional<uint64_t> first, uint64_t stride);

 private:
  struct Line {
    uint16_t queue;
    int event_fd;
  };

  void add(const kvm::Doorbell& doorbell);

  kvm::Vm& vm_;
  std::vector<Line> lines_;
  std::optional<uint64_t> first_;
  std::vector<kvm::Doorbell> placed_;
};

}  // namespace vmm::machine
