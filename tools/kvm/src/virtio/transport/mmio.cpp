// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/transport/mmio.hpp"

#include <linux/virtio_mmio.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace vmm::virtio {
namespace {

using Half = Session::Half;
using QueuePart = Session::QueuePart;

static_assert(MmioTransport::kNotify == VIRTIO_MMIO_QUEUE_NOTIFY);

// Values of 4.2.2 that the UAPI header lacks.
constexpr uint32_t kMagic = 0x74726976;  // "virt"
constexpr uint32_t kModernVersion = 2;
constexpr uint32_t kVendor = 0x4d564b54;  // "TKVM"
constexpr uint64_t kQueueReset = 0x0c0;

// "All register values are organized as Little Endian" and 32 bits wide (4.2.2.2).
bool is_register_access(uint64_t offset, size_t width) {
  return width == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0;
}

}  // namespace

MmioTransport::MmioTransport(virtio::Device& device, memory::GuestMemory& memory,
                             base::InterruptLine& line, Rings rings, Backlog::Leave leave)
    : device_(device), line_(line), session_(device, memory, *this, rings, std::move(leave)) {}

void MmioTransport::read(uint64_t offset, std::span<std::byte> data) {
  if (offset >= VIRTIO_MMIO_CONFIG) {
    device_.read_config(offset - VIRTIO_MMIO_CONFIG, data);
    return;
  }
  if (!is_register_access(offset, data.size())) {
    std::ranges::fill(data, std::byte{0xff});
    return;
  }
  const uint32_t value = read_register(offset);
  std::memcpy(data.data(), &value, sizeof value);
}

void MmioTransport::write(uint64_t offset, std::span<const std::byte> data) {
  if (offset >= VIRTIO_MMIO_CONFIG) {
    device_.write_config(offset - VIRTIO_MMIO_CONFIG, data);
    return;
  }
  if (!is_register_access(offset, data.size())) return;
  uint32_t value;
  std::memcpy(&value, data.data(), sizeof value);
  write_register(offset, value);
}

uint32_t MmioTransport::read_register(uint64_t offset) const {
  // This is read in every interrupt, so not under a mutex that another vCPU may hold for a whole
  // reset.
  if (offset == VIRTIO_MMIO_INTERRUPT_STATUS) return interrupt_status_;
  if (offset == VIRTIO_MMIO_STATUS) return session_.status();

  const std::lock_guard lock(mutex_);
  const bool queue_known = session_.has_queue(selected_.queue);
  switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
      return kMagic;
    case VIRTIO_MMIO_VERSION:
      return kModernVersion;
    case VIRTIO_MMIO_DEVICE_ID:
      return device_.type();
    case VIRTIO_MMIO_VENDOR_ID:
      return kVendor;
    case VIRTIO_MMIO_DEVICE_FEATURES:
      return session_.offered_features(selected_.device_features);
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
      return queue_known ? session_.queue_max_size(selected_.queue) : 0;
    case VIRTIO_MMIO_QUEUE_READY:
      return queue_known && session_.queue_ready(selected_.queue) ? 1 : 0;
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
      return 0xffffffff;  // no such region (4.2.2.1)
    case VIRTIO_MMIO_CONFIG_GENERATION:
      return device_.config_generation();
    default:
      return 0;  // write-only, legacy or unknown; a queue's reset is complete when the write
                 // returns
  }
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
  // Both are on the hot path and touch nothing that the mutex guards.
  if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
    session_.notify(value);
    return;
  }
  if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
    interrupt_status_.fetch_and(~value);
    return;
  }
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
      selected_.device_features = value;
      return;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
      selected_.driver_features = value;
      return;
    case VIRTIO_MMIO_DRIVER_FEATURES:
      session_.accept_features(selected_.driver_features, value);
      return;
    case VIRTIO_MMIO_QUEUE_SEL:
      selected_.queue = value;
      return;
    case VIRTIO_MMIO_STATUS:
      write_status(value);
      return;
    default:
      if (session_.has_queue(selected_.queue)) write_queue_register(offset, value);
  }
}

void MmioTransport::write_status(uint32_t value) {
  if (!session_.write_status(value)) return;
  selected_ = {};
  interrupt_status_ = 0;
}

void MmioTransport::checkpoint() {
  kept_ = selected_;
  kept_interrupt_status_ = interrupt_status_;
  session_.checkpoint();
}

void MmioTransport::rewind() {
  selected_ = kept_;
  interrupt_status_ = kept_interrupt_status_;
  session_.rewind();
}

void MmioTransport::write_queue_register(uint64_t offset, uint32_t value) {
  const auto set_address = [&](QueuePart part, Half half) {
    session_.set_queue_address(selected_.queue, part, half, value);
  };
  switch (offset) {
    case VIRTIO_MMIO_QUEUE_READY:
      if (value == 0) session_.disable_queue(selected_.queue);
      if (value == 1) session_.enable_queue(selected_.queue);
      return;
    case kQueueReset:
      if (value == 1) session_.reset_queue(selected_.queue);
      return;
    case VIRTIO_MMIO_QUEUE_NUM:
      session_.set_queue_size(selected_.queue, value);
      return;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
      return set_address(QueuePart::kDescriptors, Half::kLow);
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
      return set_address(QueuePart::kDescriptors, Half::kHigh);
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
      return set_address(QueuePart::kAvailable, Half::kLow);
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
      return set_address(QueuePart::kAvailable, Half::kHigh);
    case VIRTIO_MMIO_QUEUE_USED_LOW:
      return set_address(QueuePart::kUsed, Half::kLow);
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
      return set_address(QueuePart::kUsed, Half::kHigh);
    default:
      return;  // read-only, legacy or unknown
  }
}

void MmioTransport::queue_used(uint16_t) { raise(VIRTIO_MMIO_INT_VRING); }

void MmioTransport::config_changed() { raise(VIRTIO_MMIO_INT_CONFIG); }

void MmioTransport::needs_reset(uint16_t index, Fault fault) {
  if (session_.note_fault(index, fault)) config_changed();
}

void MmioTransport::raise(uint32_t reason) {
  // Set the status before the edge, for the handler to read. Send an edge for every event, even if
  // an earlier one has not been acknowledged, as the line may have been masked then.
  interrupt_status_.fetch_or(reason);
  line_.raise();
}

}  // namespace vmm::virtio
