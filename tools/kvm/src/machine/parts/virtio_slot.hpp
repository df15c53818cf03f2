// SPDX-License-Identifier: GPL-2.0-only
//
// One virtio device of the machine with its transport and its interrupt. Built and owned by
// machine/, in the order in which guests find the devices. It can ask whether the machine pauses or
// stops.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "machine/interrupts/doorbells.hpp"
#include "machine/interrupts/irq_line.hpp"
#include "machine/parts/pci_bus.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/device.hpp"
#include "virtio/transport/mmio.hpp"
#include "virtio/transport/pci.hpp"

namespace vmm::machine {

struct VirtioSlot {
  VirtioSlot(std::string slot_name, std::unique_ptr<virtio::Device> slot_device)
      : name(std::move(slot_name)), device(std::move(slot_device)) {}
  virtual ~VirtioSlot() = default;
  VirtioSlot(const VirtioSlot&) = delete;
  VirtioSlot& operator=(const VirtioSlot&) = delete;

  // Why the device needs a reset; nothing if it does not.
  virtual std::optional<std::string> fault() const = 0;

  // The transport's part of a rewind; the device's comes first (machine/rewind.cpp).
  virtual void checkpoint_transport() = 0;
  virtual void rewind_transport() = 0;

  void checkpoint() {
    device->checkpoint();
    checkpoint_transport();
  }
  void rewind() {
    device->rewind();
    rewind_transport();
  }

  const std::string name;
  const std::unique_ptr<virtio::Device> device;
};

struct MmioSlot final : VirtioSlot {
  MmioSlot(std::string slot_name, std::unique_ptr<virtio::Device> slot_device,
           memory::GuestMemory& memory, virtio::Rings rings, virtio::Backlog::Leave leave,
           kvm::Vm& vm, uint32_t gsi, uint64_t address)
      : VirtioSlot(std::move(slot_name), std::move(slot_device)),
        line(vm, gsi),
        transport(*device, memory, line, rings, std::move(leave)) {
    Doorbells(vm, *device).share(address + virtio::MmioTransport::kNotify);
  }

  std::optional<std::string> fault() const override { return transport.fault(); }
  void checkpoint_transport() override { transport.checkpoint(); }
  void rewind_transport() override { transport.rewind(); }

  IrqLine line;
  virtio::MmioTransport transport;
};

struct PciSlot final : VirtioSlot {
  PciSlot(std::string slot_name, std::unique_ptr<virtio::Device> slot_device,
          memory::GuestMemory& memory, virtio::Rings rings, virtio::Backlog::Leave leave,
          kvm::Vm& vm, PciBus& bus)
      : VirtioSlot(std::move(slot_name), std::move(slot_device)),
        doorbells(vm, *device),
        transport(
            *device, memory, bus.messages, rings,
            [this, &root = bus.root](std::optional<uint64_t> first) {
              if (first && !root.reaches(*first)) first.reset();
              doorbells.place(first, virtio::PciTransport::kNotifyMultiplier);
            },
            std::move(leave)) {}

  std::optional<std::string> fault() const override { return transport.fault(); }
  void checkpoint_transport() override { transport.checkpoint(); }
  void rewind_transport() override { transport.rewind(); }

  Doorbells doorbells;
  virtio::PciTransport transport;
};

}  // namespace vmm::machine
