// SPDX-License-Identifier: GPL-2.0-only
//
// One virtio-mmio device of the machine with all that belongs to it: device, interrupt line,
// transport. Built and owned by machine/, in the order of the guest's virtio_mmio.device= entries.
#pragma once

#include <memory>
#include <string>

#include "machine/irq_line.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/device.hpp"
#include "virtio/transport/mmio.hpp"

namespace vmm::machine {

struct VirtioSlot {
  VirtioSlot(std::string slot_name, std::unique_ptr<virtio::Device> slot_device,
             memory::GuestMemory& memory, kvm::Vm& vm, uint32_t gsi)
      : name(std::move(slot_name)),
        device(std::move(slot_device)),
        line(vm, gsi),
        transport(*device, memory, line) {}

  std::string name;
  std::unique_ptr<virtio::Device> device;
  IrqLine line;
  virtio::MmioTransport transport;
};

}  // namespace vmm::machine
