// SPDX-License-Identifier: GPL-2.0-only
//
// Modern virtio over PCI (virtio 1.2, 4.1) in front of one device: a PCI function whose bar 0 has
// the common configuration, the interrupt status, the device's configuration and the doorbells, and
// whose bar 1 has the MSI-X table. There is no interrupt pin: a driver without MSI-X must poll.
// machine/ owns it, attaches it to the PCI root, and passes it its device, memory and messages,
// which all outlive it. Registers are accessed on vCPU threads; the Interrupt side runs on the
// device's threads, under the device's mutex. Lock order: the common configuration's mutex, then
// the device's, then the MSI-X table's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/interrupt.hpp"
#include "bus/device.hpp"
#include "memory/guest_memory.hpp"
#include "pci/function.hpp"
#include "virtio/device.hpp"
#include "virtio/interrupt.hpp"
#include "virtio/transport/pci_common.hpp"

namespace vmm::virtio {

class PciTransport final : public pci::Function, private bus::Device, private Interrupt {
 public:
  // Bar 0: the offset of each structure, and its size.
  static constexpr uint32_t kSizeBytes = 0x4000;
  static constexpr uint64_t kCommon = 0x0000;
  static constexpr uint64_t kIsr = 0x1000;
  static constexpr uint64_t kDeviceConfig = 0x2000;
  static constexpr uint64_t kNotify = 0x3000;
  static constexpr uint32_t kNotifyMultiplier = 4;  // bytes between two queues' doorbells

  // Whenever the guest may have moved the doorbells, `doorbells_moved` gets the address of the
  // first one, or nothing if the bar is switched off. It is called under the function's mutex.
  using DoorbellsMoved = std::function<void(std::optional<uint64_t> first)>;

  PciTransport(virtio::Device& device, memory::GuestMemory& memory,
               base::MessageInterrupt& messages, Rings rings = Rings::kSplit,
               DoorbellsMoved doorbells_moved = {}, Backlog::Leave leave = {});

  // Includes the window on bar 0 in configuration space (4.1.4.9).
  void read_config(uint64_t offset, std::span<std::byte> data) override;
  void write_config(uint64_t offset, std::span<const std::byte> data) override;

  std::optional<std::string> fault() const { return common_.session().fault(); }

  // See Session; the function's part among it.
  void checkpoint() override;
  void rewind() override;

 private:
  struct Access {
    uint64_t offset;
    size_t width;
  };

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;
  void queue_used(uint16_t index) override;
  void config_changed() override;
  void needs_reset(uint16_t index, Fault fault) override;
  void applied() override;

  void add_structures();
  uint8_t add_structure(uint8_t type, uint64_t offset, uint64_t length, size_t extra_bytes);
  std::optional<Access> windowed_access();
  void raise(uint8_t reason, uint16_t vector);

  virtio::Device& device_;
  pci::MsixTable& msix_;
  std::atomic<uint8_t> isr_ = 0;
  uint8_t kept_isr_ = 0;  // at the checkpoint
  uint8_t window_capability_ = 0;
  const DoorbellsMoved doorbells_moved_;
  PciCommon common_;
};

}  // namespace vmm::virtio
