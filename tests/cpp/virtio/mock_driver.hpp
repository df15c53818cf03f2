// SPDX-License-Identifier: GPL-2.0-only
//
// A virtio driver without a guest: drives an MmioTransport through its registers, and keeps a
// MockRing for each queue in guest memory. Shared by the tests of the transport and the devices and
// by the random test. It performs requests without checking them.
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/interrupt.hpp"
#include "memory/guest_memory.hpp"
#include "mock_ring.hpp"
#include "virtio/transport/mmio.hpp"

namespace vmm::test {

// Counts the pulses, and lets a test react to each like a driver on another vCPU: on the thread
// that raises it, while the device is working.
struct MockLine final : base::InterruptLine {
  void raise() override {
    ++pulses;
    if (on_raise) on_raise();
  }
  std::atomic<uint32_t> pulses = 0;
  std::function<void()> on_raise;
};

class MockDriver {
 public:
  static constexpr uint64_t kMemoryBytes = 16 << 20;
  static constexpr uint64_t kVersion1 = 1ULL << VIRTIO_F_VERSION_1;
  static constexpr uint64_t kRingFeatures =
      1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | kVersion1;

  explicit MockDriver(virtio::Device& device, virtio::Backlog::Leave leave = {})
      : memory(kMemoryBytes),
        transport(device, memory, line, virtio::Rings::kSplit, std::move(leave)) {}

  uint32_t read32(uint64_t offset) {
    uint32_t value = 0;
    transport.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void write32(uint64_t offset, uint32_t value) {
    transport.write(offset, std::as_bytes(std::span(&value, 1)));
  }
  template <class T>
  T read_config(uint64_t offset) {
    T value{};
    transport.read(VIRTIO_MMIO_CONFIG + offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }

  uint32_t status() { return read32(VIRTIO_MMIO_STATUS); }
  void add_status(uint32_t bits) { write32(VIRTIO_MMIO_STATUS, status() | bits); }
  void reset() {
    write32(VIRTIO_MMIO_STATUS, 0);
    rings_.clear();
  }

  uint64_t device_features() {
    write32(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    const uint64_t high = read32(VIRTIO_MMIO_DEVICE_FEATURES);
    write32(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    return high << 32 | read32(VIRTIO_MMIO_DEVICE_FEATURES);
  }

  // Goes up to FEATURES_OK; true when the device kept the bit.
  bool negotiate(uint64_t features) {
    add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
    add_status(VIRTIO_CONFIG_S_DRIVER);
    write32(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    write32(VIRTIO_MMIO_DRIVER_FEATURES, static_cast<uint32_t>(features >> 32));
    write32(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    write32(VIRTIO_MMIO_DRIVER_FEATURES, static_cast<uint32_t>(features));
    add_status(VIRTIO_CONFIG_S_FEATURES_OK);
    return (status() & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
  }

  // Returns whether the device accepted the queue.
  bool set_up_queue(uint16_t index, uint32_t size, uint64_t descriptors, uint64_t available,
                    uint64_t used) {
    write32(VIRTIO_MMIO_QUEUE_SEL, index);
    write32(VIRTIO_MMIO_QUEUE_NUM, size);
    write64(VIRTIO_MMIO_QUEUE_DESC_LOW, descriptors);
    write64(VIRTIO_MMIO_QUEUE_AVAIL_LOW, available);
    write64(VIRTIO_MMIO_QUEUE_USED_LOW, used);
    write32(VIRTIO_MMIO_QUEUE_READY, 1);
    return read32(VIRTIO_MMIO_QUEUE_READY) == 1;
  }

  // Sets up a queue of the largest size, with its ring at its own address.
  bool set_up_queue(uint16_t index) {
    write32(VIRTIO_MMIO_QUEUE_SEL, index);
    const auto size = static_cast<uint16_t>(read32(VIRTIO_MMIO_QUEUE_NUM_MAX));
    if (rings_.size() <= index) rings_.resize(index + 1U);
    rings_[index] = std::make_unique<MockRing>(memory, ring_place(index), size);
    const MockRing& ring = *rings_[index];
    return set_up_queue(index, size, ring.descriptors(), ring.available(), ring.used());
  }

  // Goes from reset to DRIVER_OK.
  bool start(uint64_t features, uint16_t queue_count) {
    reset();
    if (!negotiate(features)) return false;
    for (uint16_t index = 0; index < queue_count; ++index) {
      if (!set_up_queue(index)) return false;
    }
    add_status(VIRTIO_CONFIG_S_DRIVER_OK);
    return (status() & VIRTIO_CONFIG_S_DRIVER_OK) != 0;
  }

  MockRing& ring(uint16_t index) { return *rings_[index]; }
  void notify(uint16_t index) { write32(VIRTIO_MMIO_QUEUE_NOTIFY, index); }
  void add_and_notify(uint16_t index, std::vector<Buffer> buffers) {
    ring(index).add(std::move(buffers));
    notify(index);
  }

  // Acknowledges and returns the pending interrupts.
  uint32_t take_interrupts() {
    const uint32_t pending = read32(VIRTIO_MMIO_INTERRUPT_STATUS);
    write32(VIRTIO_MMIO_INTERRUPT_ACK, pending);
    return pending;
  }

  void put(uint64_t address, std::string_view text) {
    memory.write({address}, std::as_bytes(std::span(text)));
  }
  std::string get(uint64_t address, size_t length) {
    std::string text(length, '\0');
    memory.read({address}, std::as_writable_bytes(std::span(text)));
    return text;
  }

  // Free guest memory for buffers starts here.
  static constexpr uint64_t kBuffers = 1 << 20;
  static uint64_t ring_place(uint16_t index) { return 0x10000 + index * 0x8000ULL; }

  memory::GuestMemory memory;
  MockLine line;
  virtio::MmioTransport transport;

 private:
  void write64(uint64_t low_offset, uint64_t value) {
    write32(low_offset, static_cast<uint32_t>(value));
    write32(low_offset + 4, static_cast<uint32_t>(value >> 32));
  }

  std::vector<std::unique_ptr<MockRing>> rings_;
};

}  // namespace vmm::test
