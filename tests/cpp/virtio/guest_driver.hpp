// SPDX-License-Identifier: GPL-2.0-only
//
// A virtio driver without a guest that can sit behind either transport and use either ring, for
// tests that must pass in all four cases. MockDriver can do more, but only on virtio-mmio.
#pragma once

#include <linux/virtio_config.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mock_driver.hpp"
#include "mock_packed_ring.hpp"
#include "mock_registers.hpp"

namespace vmm::test {

enum class Transport { kMmio, kPci };

inline std::string name_of(Transport transport, Rings rings) {
  return std::string(transport == Transport::kPci ? "pci" : "mmio") +
         (rings == Rings::kPacked ? ", packed" : ", split");
}

class GuestDriver {
 public:
  GuestDriver(virtio::Device& device, Transport transport, Rings rings)
      : memory(MockDriver::kMemoryBytes), rings_(rings) {
    if (transport == Transport::kPci) {
      registers_ = std::make_unique<PciRegisters>(device, memory, rings);
    } else {
      registers_ = std::make_unique<MmioRegisters>(device, memory, rings);
    }
  }

  uint64_t offered() { return uint64_t{registers_->offered(1)} << 32 | registers_->offered(0); }
  uint32_t status() { return registers_->status(); }
  void add_status(uint32_t bits) { registers_->set_status(status() | bits); }
  bool needs_reset() { return (status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0; }

  bool negotiate(uint64_t features) {
    registers_->set_status(0);
    add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
    add_status(VIRTIO_CONFIG_S_DRIVER);
    registers_->accept(0, static_cast<uint32_t>(features));
    registers_->accept(1, static_cast<uint32_t>(features >> 32));
    add_status(VIRTIO_CONFIG_S_FEATURES_OK);
    return (status() & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
  }

  bool set_up_queue(uint16_t index) {
    const uint16_t size = registers_->select_queue(index);
    if (rings_ == Rings::kPacked) {
      if (packed_.size() <= index) packed_.resize(index + 1U);
      packed_[index] = std::make_unique<MockPackedRing>(memory, place(index), size);
      const MockPackedRing& ring = *packed_[index];
      return registers_->enable_queue(size, ring.descriptors(), ring.available(), ring.used());
    }
    if (split_.size() <= index) split_.resize(index + 1U);
    split_[index] = std::make_unique<MockRing>(memory, place(index), size);
    const MockRing& ring = *split_[index];
    return registers_->enable_queue(size, ring.descriptors(), ring.available(), ring.used());
  }

  // Goes from reset to DRIVER_OK, with every offered feature.
  bool start(uint16_t queues) {
    if (!negotiate(offered())) return false;
    for (uint16_t index = 0; index < queues; ++index) {
      if (!set_up_queue(index)) return false;
    }
    add_status(VIRTIO_CONFIG_S_DRIVER_OK);
    return (status() & VIRTIO_CONFIG_S_DRIVER_OK) != 0;
  }

  // Adds one raw descriptor as a chain, with split flags. An indirect table has the same layout for
  // both rings, as long as it has one entry.
  void add_raw(uint16_t index, uint64_t address, uint32_t length, uint16_t flags) {
    if (rings_ == Rings::kPacked) {
      packed(index).put(address, length, flags);
    } else {
      split(index).set_descriptor(0, {address, length, flags, 0});
      split(index).make_available(0);
    }
  }
  void add(uint16_t index, std::vector<Buffer> buffers) {
    if (rings_ == Rings::kPacked) {
      slots_ = static_cast<uint16_t>(buffers.size());
      packed(index).add(std::move(buffers));
    } else {
      split(index).add(std::move(buffers));
    }
  }
  // The used element of the chain added last.
  std::optional<vring_used_elem> take_used(uint16_t index) {
    return rings_ == Rings::kPacked ? packed(index).take_used(slots_) : split(index).take_used();
  }

  bool is_packed() const { return rings_ == Rings::kPacked; }
  MockRing& split(uint16_t index) { return *split_[index]; }
  MockPackedRing& packed(uint16_t index) { return *packed_[index]; }
  Registers& registers() { return *registers_; }
  static uint64_t place(uint16_t index) { return MockDriver::ring_place(index); }

  memory::GuestMemory memory;

 private:
  Rings rings_;
  std::unique_ptr<Registers> registers_;
  std::vector<std::unique_ptr<MockRing>> split_;
  std::vector<std::unique_ptr<MockPackedRing>> packed_;
  uint16_t slots_ = 1;
};

}  // namespace vmm::test
