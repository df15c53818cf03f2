// SPDX-License-Identifier: GPL-2.0-only
//
// Doorbells of queues that somebody else serves (Device::doorbell()): KVM passes them on, wherever
// the transport has them. Built and owned by machine/ with the device; place() is called by one
// thread at a time. What KVM does not take is an exit, and the transport's notification, as ever.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kvm/vm.hpp"
#include "virtio/device.hpp"

namespace vmm::machine {

class Doorbells {
 public:
  // Both outlive it. What KVM still has when it goes, goes with the VM.
  Doorbells(kvm::Vm& vm, const virtio::Device& device);

  // A register for all queues, which is written the number of one (virtio 1.2, 4.2.2).
  void share(uint64_t address);

  // One for each queue, `stride` bytes apart, the first here or nowhere (4.1.4.4).
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
