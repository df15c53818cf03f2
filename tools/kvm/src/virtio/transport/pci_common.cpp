// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/transport/pci_common.hpp"

#include <linux/virtio_pci.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace vmm::virtio {
namespace {

using Half = Session::Half;
using QueuePart = Session::QueuePart;

// Width of the field that starts at `offset`; 0 if there is none.
size_t field_width(uint64_t offset) {
  switch (offset) {
    case VIRTIO_PCI_COMMON_STATUS:
    case VIRTIO_PCI_COMMON_CFGGENERATION:
      return 1;
    case VIRTIO_PCI_COMMON_MSIX:
    case VIRTIO_PCI_COMMON_NUMQ:
    case VIRTIO_PCI_COMMON_Q_SELECT:
    case VIRTIO_PCI_COMMON_Q_SIZE:
    case VIRTIO_PCI_COMMON_Q_MSIX:
    case VIRTIO_PCI_COMMON_Q_ENABLE:
    case VIRTIO_PCI_COMMON_Q_NOFF:
    case VIRTIO_PCI_COMMON_Q_NDATA:
    case VIRTIO_PCI_COMMON_Q_RESET:
      return 2;
    case VIRTIO_PCI_COMMON_DFSELECT:
    case VIRTIO_PCI_COMMON_DF:
    case VIRTIO_PCI_COMMON_GFSELECT:
    case VIRTIO_PCI_COMMON_GF:
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
      return 4;
    default:
      return 0;
  }
}

}  // namespace

PciCommon::PciCommon(Device& device, memory::GuestMemory& memory, Interrupt& interrupt, Rings rings,
                     pci::MsixTable& msix, Backlog::Leave leave)
    : device_(device),
      msix_(msix),
      config_vector_(VIRTIO_MSI_NO_VECTOR),
      queue_vectors_(device.queue_max_sizes().size()),
      session_(device, memory, interrupt, rings, std::move(leave)) {
  for (auto& vector : queue_vectors_) vector = VIRTIO_MSI_NO_VECTOR;
}

void PciCommon::checkpoint() {
  kept_ = {config_vector_, {queue_vectors_.begin(), queue_vectors_.end()}, selected_};
  session_.checkpoint();
}

void PciCommon::rewind() {
  config_vector_ = kept_.config_vector;
  std::ranges::copy(kept_.queue_vectors, queue_vectors_.begin());
  selected_ = kept_.selected;
  session_.rewind();
}

void PciCommon::read(uint64_t offset, std::span<std::byte> data) const {
  if (data.size() != field_width(offset)) {
    std::ranges::fill(data, std::byte{0xff});
    return;
  }
  const uint32_t value = read_field(offset);
  std::memcpy(data.data(), &value, data.size());
}

void PciCommon::write(uint64_t offset, std::span<const std::byte> data) {
  if (data.size() != field_width(offset)) return;
  uint32_t value = 0;
  std::memcpy(&value, data.data(), data.size());
  write_field(offset, value);
}

uint32_t PciCommon::read_field(uint64_t offset) const {
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
      return selected_.device_features;
    case VIRTIO_PCI_COMMON_DF:
      return session_.offered_features(selected_.device_features);
    case VIRTIO_PCI_COMMON_GFSELECT:
      return selected_.driver_features;
    case VIRTIO_PCI_COMMON_GF:
      return session_.accepted_features(selected_.driver_features);
    case VIRTIO_PCI_COMMON_MSIX:
      return config_vector_;
    case VIRTIO_PCI_COMMON_NUMQ:
      return session_.queue_count();
    case VIRTIO_PCI_COMMON_STATUS:
      return session_.status();
    case VIRTIO_PCI_COMMON_CFGGENERATION:
      return device_.config_generation();
    case VIRTIO_PCI_COMMON_Q_SELECT:
      return selected_.queue;
    default:
      // Size zero means that there is no such queue (4.1.4.3.1).
      return session_.has_queue(selected_.queue) ? read_queue_field(offset) : 0;
  }
}

uint32_t PciCommon::read_queue_field(uint64_t offset) const {
  const auto low = [&](QueuePart part) {
    return static_cast<uint32_t>(session_.queue_address(selected_.queue, part));
  };
  const auto high = [&](QueuePart part) {
    return static_cast<uint32_t>(session_.queue_address(selected_.queue, part) >> 32);
  };
  switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
      return session_.queue_size(selected_.queue);
    case VIRTIO_PCI_COMMON_Q_MSIX:
      return queue_vectors_[selected_.queue];
    case VIRTIO_PCI_COMMON_Q_ENABLE:
      return session_.queue_ready(selected_.queue) ? 1 : 0;
    case VIRTIO_PCI_COMMON_Q_NOFF:
    case VIRTIO_PCI_COMMON_Q_NDATA:
      return selected_.queue;  // each queue has its own doorbell
    case VIRTIO_PCI_COMMON_Q_DESCLO:
      return low(QueuePart::kDescriptors);
    case VIRTIO_PCI_COMMON_Q_DESCHI:
      return high(QueuePart::kDescriptors);
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
      return low(QueuePart::kAvailable);
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
      return high(QueuePart::kAvailable);
    case VIRTIO_PCI_COMMON_Q_USEDLO:
      return low(QueuePart::kUsed);
    case VIRTIO_PCI_COMMON_Q_USEDHI:
      return high(QueuePart::kUsed);
    default:
      return 0;  // a queue's reset is complete when the write returns
  }
}

void PciCommon::write_field(uint64_t offset, uint32_t value) {
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
      selected_.device_features = value;
      return;
    case VIRTIO_PCI_COMMON_GFSELECT:
      selected_.driver_features = value;
      return;
    case VIRTIO_PCI_COMMON_GF:
      session_.accept_features(selected_.driver_features, value);
      return;
    case VIRTIO_PCI_COMMON_MSIX:
      config_vector_ = usable_vector(value);
      return;
    case VIRTIO_PCI_COMMON_STATUS:
      write_status(value);
      return;
    case VIRTIO_PCI_COMMON_Q_SELECT:
      selected_.queue = value;
      return;
    default:
      if (session_.has_queue(selected_.queue)) write_queue_field(offset, value);
  }
}

void PciCommon::write_queue_field(uint64_t offset, uint32_t value) {
  const auto set_address = [&](QueuePart part, Half half) {
    session_.set_queue_address(selected_.queue, part, half, value);
  };
  switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
      session_.set_queue_size(selected_.queue, value);
      return;
    case VIRTIO_PCI_COMMON_Q_MSIX:
      set_queue_vector(static_cast<uint16_t>(selected_.queue), usable_vector(value));
      return;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
      if (value == 1) session_.enable_queue(selected_.queue);  // writing 0 does not stop it
      return;
    case VIRTIO_PCI_COMMON_Q_RESET:
      if (value == 1) session_.reset_queue(selected_.queue);
      return;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
      return set_address(QueuePart::kDescriptors, Half::kLow);
    case VIRTIO_PCI_COMMON_Q_DESCHI:
      return set_address(QueuePart::kDescriptors, Half::kHigh);
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
      return set_address(QueuePart::kAvailable, Half::kLow);
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
      return set_address(QueuePart::kAvailable, Half::kHigh);
    case VIRTIO_PCI_COMMON_Q_USEDLO:
      return set_address(QueuePart::kUsed, Half::kLow);
    case VIRTIO_PCI_COMMON_Q_USEDHI:
      return set_address(QueuePart::kUsed, Half::kHigh);
    default:
      return;  // read-only
  }
}

// The driver reads a vector back to check whether it was accepted (4.1.5.1.2.1).
uint16_t PciCommon::usable_vector(uint32_t value) const {
  return value < msix_.vectors() ? static_cast<uint16_t>(value) : uint16_t{VIRTIO_MSI_NO_VECTOR};
}

void PciCommon::write_status(uint32_t value) {
  if (!session_.write_status(value)) return;
  selected_.device_features = 0;
  selected_.driver_features = 0;
  selected_.queue = 0;
  config_vector_ = VIRTIO_MSI_NO_VECTOR;
  for (uint16_t index = 0; index < queue_vectors_.size(); ++index) {
    set_queue_vector(index, VIRTIO_MSI_NO_VECTOR);
  }
}

void PciCommon::set_queue_vector(uint16_t index, uint16_t vector) {
  if (queue_vectors_[index].exchange(vector) == vector) return;
  base::EventSource* const source = device_.used_source(index);
  if (source == nullptr) return;
  msix_.unwire(*source);
  if (vector != VIRTIO_MSI_NO_VECTOR) msix_.wire(vector, *source);
}

}  // namespace vmm::virtio
