// SPDX-License-Identifier: GPL-2.0-only
//
// The common configuration structure of virtio over PCI (virtio 1.2, 4.1.4.3): selectors, and the
// interrupt vector of each queue, in front of a Session. PciTransport owns it and calls read() and
// write() on vCPU threads; the vectors may be read on any thread, under a device's mutex.
// Interrupts of queues that are served elsewhere are wired to their vectors.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "memory/guest_memory.hpp"
#include "pci/msix.hpp"
#include "virtio/device.hpp"
#include "virtio/interrupt.hpp"
#include "virtio/transport/session.hpp"

namespace vmm::virtio {

class PciCommon {
 public:
  static constexpr uint64_t kSizeBytes = 64;

  // The driver chooses vectors from the table `msix`.
  PciCommon(Device& device, memory::GuestMemory& memory, Interrupt& interrupt, Rings rings,
            pci::MsixTable& msix, Backlog::Leave leave);

  // Each field is accessed with its own width; 64-bit fields also by halves (4.1.3.1).
  void read(uint64_t offset, std::span<std::byte> data) const;
  void write(uint64_t offset, std::span<const std::byte> data);

  // VIRTIO_MSI_NO_VECTOR when there is none.
  uint16_t queue_vector(uint16_t index) const { return queue_vectors_[index]; }
  uint16_t config_vector() const { return config_vector_; }

  // See Session.
  void checkpoint();
  void rewind();

  Session& session() { return session_; }
  const Session& session() const { return session_; }

 private:
  uint32_t read_field(uint64_t offset) const;
  uint32_t read_queue_field(uint64_t offset) const;
  void write_field(uint64_t offset, uint32_t value);
  void write_queue_field(uint64_t offset, uint32_t value);
  void write_status(uint32_t value);
  uint16_t usable_vector(uint32_t value) const;
  void set_queue_vector(uint16_t index, uint16_t vector);

  Device& device_;
  pci::MsixTable& msix_;
  std::atomic<uint16_t> config_vector_;
  std::vector<std::atomic<uint16_t>> queue_vectors_;

  struct Selected {
    uint32_t device_features = 0;
    uint32_t driver_features = 0;
    uint32_t queue = 0;
  };
  struct Kept {
    uint16_t config_vector = 0;
    std::vector<uint16_t> queue_vectors;
    Selected selected;
  };

  Kept kept_;                 // at the checkpoint
  mutable std::mutex mutex_;  // guards the members below
  Selected selected_;
  Session session_;
};

}  // namespace vmm::virtio
