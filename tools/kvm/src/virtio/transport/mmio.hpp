// SPDX-License-Identifier: GPL-2.0-only
//
// The modern (version 2) virtio-mmio register file (virtio 1.2, 4.2.2) in front of one device;
// Session has the state behind the registers. machine/ owns it, attaches it to the MMIO bus, and
// passes it its device, memory and interrupt line, which all outlive it. read() and write() run on
// vCPU threads; the Interrupt side runs on the device's threads, under the device's mutex, and
// therefore only touches atomics. Lock order: the transport's mutex, then the device's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/interrupt.hpp"
#include "bus/device.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/device.hpp"
#include "virtio/interrupt.hpp"
#include "virtio/transport/session.hpp"

namespace vmm::virtio {

class MmioTransport final : public bus::Device, private Interrupt {
 public:
  // Registers and configuration space; machine/ reserves this range on the bus.
  static constexpr uint64_t kSizeBytes = 0x1000;
  static constexpr uint64_t kNotify = 0x050;  // the driver writes a queue's number

  MmioTransport(virtio::Device& device, memory::GuestMemory& memory, base::InterruptLine& line,
                Rings rings = Rings::kSplit, Backlog::Leave leave = {});

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  std::optional<std::string> fault() const { return session_.fault(); }

  // See Session.
  void checkpoint();
  void rewind();

 private:
  void queue_used(uint16_t index) override;
  void config_changed() override;
  void needs_reset(uint16_t index, Fault fault) override;

  uint32_t read_register(uint64_t offset) const;
  void write_register(uint64_t offset, uint32_t value);
  void write_status(uint32_t value);
  void write_queue_register(uint64_t offset, uint32_t value);
  void raise(uint32_t reason);

  struct Selected {
    uint32_t device_features = 0;
    uint32_t driver_features = 0;
    uint32_t queue = 0;
  };

  virtio::Device& device_;
  base::InterruptLine& line_;
  std::atomic<uint32_t> interrupt_status_ = 0;
  Selected kept_;  // at the checkpoint, as is the next
  uint32_t kept_interrupt_status_ = 0;

  mutable std::mutex mutex_;  // guards the members below
  Selected selected_;
  Session session_;
};

}  // namespace vmm::virtio
