// SPDX-License-Identifier: GPL-2.0-only
//
// The modern (version 2) virtio-mmio register file (virtio 1.2, 4.2.2) in front of one device:
// feature negotiation, the status state machine, queue set-up, notification and interrupt status.
// machine/ owns it, attaches it to the MMIO bus, and gives it its device, memory and interrupt
// line, which all outlive it. read() and write() run on vCPU threads; the Interrupt side runs on
// whatever thread the device uses, under the device's mutex, and therefore only touches atomics.
// Lock order: the transport's mutex, then the device's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/interrupt.hpp"
#include "bus/device.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/device.hpp"
#include "virtio/interrupt.hpp"

namespace vmm::virtio {

class MmioTransport final : public bus::Device, private Interrupt {
 public:
  // Registers and configuration space; what machine/ reserves on the bus.
  static constexpr uint64_t kSizeBytes = 0x1000;

  MmioTransport(virtio::Device& device, memory::GuestMemory& memory, base::InterruptLine& line);
  ~MmioTransport() override;

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // Why the device needs a reset, for a verdict's evidence; nothing while all is well.
  std::optional<std::string> fault() const;

 private:
  struct QueueSetup {
    QueueState state;
    bool ready = false;
  };

  void queue_used(uint16_t index) override;
  void config_changed() override;
  void needs_reset(uint16_t index, Fault fault) override;

  uint32_t read_register(uint64_t offset) const;
  uint32_t read_device_features() const;
  void write_register(uint64_t offset, uint32_t value);
  void write_driver_features(uint32_t value);
  void write_queue_register(uint64_t offset, uint32_t value);
  void write_queue_ready(QueueSetup& setup, uint32_t value);
  void write_status(uint32_t value);
  bool features_acceptable() const;
  bool queue_setup_allowed() const;
  void activate();
  void reset();
  void raise(uint32_t reason);

  virtio::Device& device_;
  memory::GuestMemory& memory_;
  base::InterruptLine& line_;
  const uint64_t offered_features_;

  mutable std::mutex mutex_;  // guards the members up to the next blank line
  uint64_t driver_features_ = 0;
  bool unknown_features_ = false;  // the driver accepted bits that have no number yet
  uint32_t device_features_select_ = 0;
  uint32_t driver_features_select_ = 0;
  uint32_t queue_select_ = 0;
  std::vector<QueueSetup> queues_;

  std::atomic<uint32_t> status_ = 0;
  std::atomic<uint32_t> interrupt_status_ = 0;
  std::atomic<uint32_t> fault_ = 0;  // 0: none; else 1 + fault | index << 16
};

}  // namespace vmm::virtio
