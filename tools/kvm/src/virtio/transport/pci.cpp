// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/transport/pci.hpp"

#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>
#include <vector>

namespace vmm::virtio {
namespace {

// 4.1.2: vendor, and the first device number; drivers want a revision of at least 1.
constexpr uint16_t kVendor = 0x1af4;
constexpr uint32_t kFirstDevice = 0x1040;
constexpr uint8_t kRevision = 1;

constexpr unsigned kRegisterBar = 0;
constexpr unsigned kMsixBar = 1;
constexpr uint64_t kPage = 0x1000;  // size of each structure in the bar
constexpr size_t kWindowDataBytes = 4;

constexpr uint8_t kIsrQueue = 1;  // 4.1.4.5
constexpr uint8_t kIsrConfig = 2;

// Drivers match the ids; the class only appears in listings of the bus (PCI Code and ID
// Assignment).
uint32_t class_code(uint32_t type) {
  switch (type) {
    case VIRTIO_ID_BLOCK:
      return 0x018000;  // mass storage, other
    case VIRTIO_ID_NET:
      return 0x020000;  // Ethernet
    case VIRTIO_ID_VSOCK:
      return 0x028000;  // network, other
    case VIRTIO_ID_CONSOLE:
      return 0x078000;  // communication, other
    default:
      return 0xff0000;  // fits no class
  }
}

pci::Identity identity(uint32_t type) {
  return {.vendor = kVendor,
          .device = static_cast<uint16_t>(kFirstDevice + type),
          .class_code = class_code(type),
          .revision = kRevision,
          .subsystem_vendor = kVendor,
          .subsystem = static_cast<uint16_t>(kFirstDevice + type)};
}

// One for the configuration and one for each queue, so that none has to be shared.
uint16_t vector_count(const Device& device) {
  const size_t wanted = device.queue_max_sizes().size() + 1;
  return static_cast<uint16_t>(std::min<size_t>(wanted, pci::MsixTable::kMaxVectors));
}

}  // namespace

PciTransport::PciTransport(virtio::Device& device, memory::GuestMemory& memory,
                           base::MessageInterrupt& messages, Rings rings,
                           DoorbellsMoved doorbells_moved, Backlog::Leave leave)
    : pci::Function(identity(device.type())),
      device_(device),
      msix_(add_msix(kMsixBar, messages, vector_count(device))),
      doorbells_moved_(std::move(doorbells_moved)),
      common_(device, memory, *this, rings, msix_, std::move(leave)) {
  assert(device.queue_max_sizes().size() * kNotifyMultiplier <= kPage);
  add_bar(kRegisterBar, kSizeBytes, *this);
  add_structures();
}

void PciTransport::checkpoint() {
  pci::Function::checkpoint();
  kept_isr_ = isr_;
  common_.checkpoint();
}

void PciTransport::rewind() {
  pci::Function::rewind();
  isr_ = kept_isr_;
  common_.rewind();
}

void PciTransport::add_structures() {
  add_structure(VIRTIO_PCI_CAP_COMMON_CFG, kCommon, PciCommon::kSizeBytes, 0);
  add_structure(VIRTIO_PCI_CAP_ISR_CFG, kIsr, 1, 0);
  add_structure(VIRTIO_PCI_CAP_DEVICE_CFG, kDeviceConfig, kPage, 0);
  const uint64_t doorbells = device_.queue_max_sizes().size() * kNotifyMultiplier;
  const uint8_t notify =
      add_structure(VIRTIO_PCI_CAP_NOTIFY_CFG, kNotify, doorbells, sizeof kNotifyMultiplier);
  config_.set(notify + uint64_t{VIRTIO_PCI_NOTIFY_CAP_MULT}, 4, kNotifyMultiplier);

  window_capability_ = add_structure(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, kWindowDataBytes);
  const uint64_t window = window_capability_;
  config_.set(window + VIRTIO_PCI_CAP_BAR, 1, 0, 0xff);
  config_.set(window + VIRTIO_PCI_CAP_OFFSET, 4, 0, 0xffffffff);
  config_.set(window + VIRTIO_PCI_CAP_LENGTH, 4, 0, 0xffffffff);
}

// Adds a struct virtio_pci_cap (4.1.4) with `extra_bytes` of type-specific data after it.
uint8_t PciTransport::add_structure(uint8_t type, uint64_t offset, uint64_t length,
                                    size_t extra_bytes) {
  const size_t bytes = sizeof(virtio_pci_cap) + extra_bytes;
  const std::vector<std::byte> body(bytes - VIRTIO_PCI_CAP_LEN);
  const uint8_t at = add_capability(PCI_CAP_ID_VNDR, body);
  config_.set(at + uint64_t{VIRTIO_PCI_CAP_LEN}, 1, static_cast<uint32_t>(bytes));
  config_.set(at + uint64_t{VIRTIO_PCI_CAP_CFG_TYPE}, 1, type);
  config_.set(at + uint64_t{VIRTIO_PCI_CAP_BAR}, 1, kRegisterBar);
  config_.set(at + uint64_t{VIRTIO_PCI_CAP_OFFSET}, 4, static_cast<uint32_t>(offset));
  config_.set(at + uint64_t{VIRTIO_PCI_CAP_LENGTH}, 4, static_cast<uint32_t>(length));
  return at;
}

void PciTransport::applied() {
  if (!doorbells_moved_) return;
  for (const auto& bar : bars()) {
    if (bar->index != kRegisterBar) continue;
    const uint64_t base = bar->address;
    doorbells_moved_(base == pci::Bar::kUnmapped ? std::nullopt : std::optional(base + kNotify));
  }
}

// The access that the window's bar, offset and length describe, if it is valid (4.1.4.9.2).
std::optional<PciTransport::Access> PciTransport::windowed_access() {
  const std::lock_guard lock(config_mutex_);
  const uint64_t window = window_capability_;
  if (config_.get(window + VIRTIO_PCI_CAP_BAR, 1) != kRegisterBar) return std::nullopt;
  const uint64_t offset = config_.get(window + VIRTIO_PCI_CAP_OFFSET, 4);
  const uint32_t width = config_.get(window + VIRTIO_PCI_CAP_LENGTH, 4);
  if (width != 1 && width != 2 && width != 4) return std::nullopt;
  if (offset % width != 0 || offset >= kSizeBytes) return std::nullopt;
  return Access{offset, width};
}

void PciTransport::read_config(uint64_t offset, std::span<std::byte> data) {
  pci::Function::read_config(offset, data);
  if (offset != window_capability_ + sizeof(virtio_pci_cap)) return;
  const auto access = windowed_access();
  if (!access) return;
  std::array<std::byte, kWindowDataBytes> value{};
  read(access->offset, std::span(value).first(access->width));
  std::ranges::copy(std::span(value).first(std::min(data.size(), value.size())), data.begin());
}

void PciTransport::write_config(uint64_t offset, std::span<const std::byte> data) {
  pci::Function::write_config(offset, data);
  if (offset != window_capability_ + sizeof(virtio_pci_cap)) return;
  const auto access = windowed_access();
  if (access && access->width <= data.size()) write(access->offset, data.first(access->width));
}

void PciTransport::read(uint64_t offset, std::span<std::byte> data) {
  const uint64_t place = offset % kPage;
  switch (offset - place) {
    case kCommon:
      common_.read(place, data);
      return;
    case kIsr:
      std::ranges::fill(data, std::byte{0});
      if (place == 0) data[0] = std::byte{isr_.exchange(0)};  // reading acknowledges (4.1.4.5)
      return;
    case kDeviceConfig:
      device_.read_config(place, data);
      return;
    default:
      std::ranges::fill(data, std::byte{0});  // doorbells are write-only
  }
}

void PciTransport::write(uint64_t offset, std::span<const std::byte> data) {
  const uint64_t place = offset % kPage;
  switch (offset - place) {
    case kCommon:
      common_.write(place, data);
      return;
    case kDeviceConfig:
      device_.write_config(place, data);
      return;
    case kNotify:
      // The address selects the queue; the value written adds no information.
      if (place % kNotifyMultiplier == 0) {
        common_.session().notify(static_cast<uint32_t>(place / kNotifyMultiplier));
      }
      return;
    default:
      return;
  }
}

void PciTransport::queue_used(uint16_t index) { raise(kIsrQueue, common_.queue_vector(index)); }

void PciTransport::config_changed() { raise(kIsrConfig, common_.config_vector()); }

void PciTransport::needs_reset(uint16_t index, Fault fault) {
  if (common_.session().note_fault(index, fault)) config_changed();
}

void PciTransport::raise(uint8_t reason, uint16_t vector) {
  isr_.fetch_or(reason);
  if (vector != VIRTIO_MSI_NO_VECTOR) msix_.raise(vector);
}

}  // namespace vmm::virtio
