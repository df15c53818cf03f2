// SPDX-License-Identifier: GPL-2.0-only
#include "pci/function.hpp"

#include <linux/pci_regs.h>

#include <array>
#include <bit>
#include <cassert>
#include <cstring>

namespace vmm::pci {
namespace {

constexpr uint64_t bar_register(unsigned index) {
  return PCI_BASE_ADDRESS_0 + uint64_t{index} * sizeof(uint32_t);
}

}  // namespace

Function::Function(const Identity& identity) {
  config_.set(PCI_VENDOR_ID, 2, identity.vendor);
  config_.set(PCI_DEVICE_ID, 2, identity.device);
  config_.set(PCI_COMMAND, 2, 0,
              PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
  config_.set(PCI_CLASS_REVISION, 4, identity.class_code << 8 | identity.revision);
  config_.set(PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
  config_.set(PCI_SUBSYSTEM_VENDOR_ID, 2, identity.subsystem_vendor);
  config_.set(PCI_SUBSYSTEM_ID, 2, identity.subsystem);
  config_.set(PCI_INTERRUPT_LINE, 1, 0, 0xff);  // scratch; no pin is connected
}

Bar& Function::add_bar(unsigned index, uint32_t size, bus::Device& device) {
  assert(index < PCI_STD_NUM_BARS && size >= 16 && std::has_single_bit(size));
  // This makes sizing work: the bits below the size stay zero (6.2.5.1).
  config_.set(bar_register(index), 4, PCI_BASE_ADDRESS_SPACE_MEMORY, ~(size - 1));
  bars_.push_back(std::make_unique<Bar>(index, size, device));
  return *bars_.back();
}

uint8_t Function::add_capability(uint8_t id, std::span<const std::byte> body) {
  return config_.add_capability(id, body);
}

MsixTable& Function::add_msix(unsigned bar_index, base::MessageInterrupt& messages,
                              uint16_t vectors) {
  std::array<std::byte, PCI_CAP_MSIX_SIZEOF - 2> body{};
  const uint8_t at = add_capability(PCI_CAP_ID_MSIX, body);
  const auto next = static_cast<uint8_t>(config_.get(at + uint64_t{PCI_CAP_LIST_NEXT}, 1));
  adopt_msix(at, next, {bar_index, MsixTable::kPendingOffset | bar_index}, messages, vectors);
  add_bar(bar_index, MsixTable::kSizeBytes, *msix_);
  return *msix_;
}

MsixTable& Function::adopt_msix(uint8_t at, uint8_t next, MsixPlaces places,
                                base::MessageInterrupt& messages, uint16_t vectors) {
  msix_ = std::make_unique<MsixTable>(messages, vectors);
  msix_capability_ = at;
  config_.set(at, 1, PCI_CAP_ID_MSIX);
  config_.set(at + uint64_t{PCI_CAP_LIST_NEXT}, 1, next);
  config_.set(at + uint64_t{PCI_MSIX_FLAGS}, 2, vectors - 1U,
              PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  config_.set(at + uint64_t{PCI_MSIX_TABLE}, 4, places.table);
  config_.set(at + uint64_t{PCI_MSIX_PBA}, 4, places.pending);
  return *msix_;
}

void Function::place_bar(const Bar& bar, uint32_t address) {
  assert(address % bar.size == 0);
  std::array<std::byte, sizeof address> data;
  std::memcpy(data.data(), &address, sizeof address);
  Function::write_config(bar_register(bar.index), data);
}

void Function::enable_memory() {
  const std::array<std::byte, 1> on{std::byte{PCI_COMMAND_MEMORY}};
  Function::write_config(PCI_COMMAND, on);
}

void Function::read_config(uint64_t offset, std::span<std::byte> data) {
  const std::lock_guard lock(config_mutex_);
  config_.read(offset, data);
}

void Function::write_config(uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(config_mutex_);
  config_.write(offset, data);
  apply();
}

void Function::checkpoint() {
  const std::lock_guard lock(config_mutex_);
  kept_ = config_;
  if (msix_) msix_->checkpoint();
}

void Function::rewind() {
  const std::lock_guard lock(config_mutex_);
  config_ = kept_;
  if (msix_) msix_->rewind();
  apply();
}

void Function::apply() {
  const bool decoding = (config_.get(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) != 0;
  for (const auto& bar : bars_) {
    const uint32_t address = config_.get(bar_register(bar->index), 4) & ~(bar->size - 1);
    bar->address = decoding ? address : Bar::kUnmapped;
  }
  if (msix_) {
    msix_->set_control(
        static_cast<uint16_t>(config_.get(msix_capability_ + uint64_t{PCI_MSIX_FLAGS}, 2)));
  }
  applied();
}

}  // namespace vmm::pci
