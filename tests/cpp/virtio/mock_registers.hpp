// SPDX-License-Identifier: GPL-2.0-only
//
// A driver's accesses to a transport's registers, for either transport: the lower half of
// GuestDriver. A PCI device is accessed like in a guest: through configuration space, bars and the
// MSI-X table.
#pragma once

#include <linux/pci_regs.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "../pci/mock_messages.hpp"
#include "memory/guest_memory.hpp"
#include "mock_driver.hpp"
#include "pci/root.hpp"
#include "virtio/transport/mmio.hpp"
#include "virtio/transport/pci.hpp"

namespace vmm::test {

using virtio::Rings;

// A driver's accesses to registers, independent of their layout.
struct Registers {
  virtual ~Registers() = default;
  virtual uint32_t status() = 0;
  virtual void set_status(uint32_t value) = 0;
  virtual uint32_t offered(uint32_t word) = 0;
  virtual void accept(uint32_t word, uint32_t value) = 0;
  virtual uint16_t select_queue(uint16_t index) = 0;  // returns its size, 0 if it does not exist
  virtual bool enable_queue(uint16_t size, uint64_t descriptors, uint64_t available,
                            uint64_t used) = 0;
  virtual void reset_queue() = 0;
  virtual void notify(uint16_t index) = 0;
  virtual size_t interrupts() = 0;
  virtual std::optional<std::string> fault() = 0;
  // A hostile driver's access to any offset of the registers.
  virtual void poke(uint64_t offset, std::span<const std::byte> data) = 0;
  virtual void peek(uint64_t offset, std::span<std::byte> data) = 0;
  virtual uint64_t poke_range() = 0;
  // Undoes what a hostile driver can do to its own view of the registers.
  virtual void restore() = 0;
};

class MmioRegisters final : public Registers {
 public:
  MmioRegisters(virtio::Device& device, memory::GuestMemory& memory, Rings rings)
      : transport_(device, memory, line_, rings) {}

  uint32_t status() override { return get(VIRTIO_MMIO_STATUS); }
  void set_status(uint32_t value) override { set(VIRTIO_MMIO_STATUS, value); }
  uint32_t offered(uint32_t word) override {
    set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
    return get(VIRTIO_MMIO_DEVICE_FEATURES);
  }
  void accept(uint32_t word, uint32_t value) override {
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
    set(VIRTIO_MMIO_DRIVER_FEATURES, value);
  }
  uint16_t select_queue(uint16_t index) override {
    set(VIRTIO_MMIO_QUEUE_SEL, index);
    return static_cast<uint16_t>(get(VIRTIO_MMIO_QUEUE_NUM_MAX));
  }
  bool enable_queue(uint16_t size, uint64_t descriptors, uint64_t available,
                    uint64_t used) override {
    set(VIRTIO_MMIO_QUEUE_NUM, size);
    set64(VIRTIO_MMIO_QUEUE_DESC_LOW, descriptors);
    set64(VIRTIO_MMIO_QUEUE_AVAIL_LOW, available);
    set64(VIRTIO_MMIO_QUEUE_USED_LOW, used);
    set(VIRTIO_MMIO_QUEUE_READY, 1);
    return get(VIRTIO_MMIO_QUEUE_READY) == 1;
  }
  void reset_queue() override { set(0x0c0, 1); }
  void notify(uint16_t index) override { set(VIRTIO_MMIO_QUEUE_NOTIFY, index); }
  size_t interrupts() override { return line_.pulses; }
  std::optional<std::string> fault() override { return transport_.fault(); }
  void poke(uint64_t offset, std::span<const std::byte> data) override {
    transport_.write(offset, data);
  }
  void peek(uint64_t offset, std::span<std::byte> data) override { transport_.read(offset, data); }
  uint64_t poke_range() override { return 0x120; }
  void restore() override {}

 private:
  uint32_t get(uint64_t offset) {
    uint32_t value = 0;
    transport_.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void set(uint64_t offset, uint32_t value) {
    transport_.write(offset, std::as_bytes(std::span(&value, 1)));
  }
  void set64(uint64_t offset, uint64_t value) {
    set(offset, static_cast<uint32_t>(value));
    set(offset + 4, static_cast<uint32_t>(value >> 32));
  }

  MockLine line_;
  virtio::MmioTransport transport_;
};

class PciRegisters final : public Registers {
 public:
  static constexpr uint64_t kWindow = 0xd1000000;
  static constexpr uint64_t kWindowBytes = 1 << 20;
  static constexpr uint32_t kSlotFunction = 1 << 3;  // after the bridge in slot 0

  PciRegisters(virtio::Device& device, memory::GuestMemory& memory, Rings rings)
      : transport_(device, memory, messages_, rings,
                   [this](std::optional<uint64_t> first) { first_doorbell_ = first; }) {
    root_.attach(transport_, "device");
    for (uint64_t bar = 0; bar < 2; ++bar) {
      placed_[bar] = config<uint32_t>(PCI_BASE_ADDRESS_0 + 4 * bar);
    }
    switch_on_msix();
  }

  uint32_t status() override { return get<uint8_t>(VIRTIO_PCI_COMMON_STATUS); }
  // After a reset the driver must assign the vectors again.
  void set_status(uint32_t value) override {
    set<uint8_t>(VIRTIO_PCI_COMMON_STATUS, static_cast<uint8_t>(value));
    if (value == 0) set<uint16_t>(VIRTIO_PCI_COMMON_MSIX, 0);
  }
  uint32_t offered(uint32_t word) override {
    set<uint32_t>(VIRTIO_PCI_COMMON_DFSELECT, word);
    return get<uint32_t>(VIRTIO_PCI_COMMON_DF);
  }
  void accept(uint32_t word, uint32_t value) override {
    set<uint32_t>(VIRTIO_PCI_COMMON_GFSELECT, word);
    set<uint32_t>(VIRTIO_PCI_COMMON_GF, value);
  }
  uint16_t select_queue(uint16_t index) override {
    queue_ = index;
    set<uint16_t>(VIRTIO_PCI_COMMON_Q_SELECT, index);
    return get<uint16_t>(VIRTIO_PCI_COMMON_Q_SIZE);
  }
  bool enable_queue(uint16_t size, uint64_t descriptors, uint64_t available,
                    uint64_t used) override {
    set<uint16_t>(VIRTIO_PCI_COMMON_Q_SIZE, size);
    set64(VIRTIO_PCI_COMMON_Q_DESCLO, descriptors);
    set64(VIRTIO_PCI_COMMON_Q_AVAILLO, available);
    set64(VIRTIO_PCI_COMMON_Q_USEDLO, used);
    set<uint16_t>(VIRTIO_PCI_COMMON_Q_MSIX, static_cast<uint16_t>(1 + queue_));
    set<uint16_t>(VIRTIO_PCI_COMMON_Q_ENABLE, 1);
    return get<uint16_t>(VIRTIO_PCI_COMMON_Q_ENABLE) == 1;
  }
  void reset_queue() override { set<uint16_t>(VIRTIO_PCI_COMMON_Q_RESET, 1); }
  void notify(uint16_t index) override {
    write_bar(0, virtio::PciTransport::kNotify + index * 4ULL, index);
  }
  size_t interrupts() override { return messages_.sent.size(); }
  std::optional<std::string> fault() override { return transport_.fault(); }
  void poke(uint64_t offset, std::span<const std::byte> data) override {
    if (offset < 0x100) {
      root_.write(bar_offset(0) + offset, data);
    } else {
      root_.write_config(0, kSlotFunction, offset - 0x100, data);
    }
  }
  void peek(uint64_t offset, std::span<std::byte> data) override {
    if (offset < 0x100) {
      root_.read(bar_offset(0) + offset, data);
    } else {
      root_.read_config(0, kSlotFunction, offset - 0x100, data);
    }
  }
  uint64_t poke_range() override { return 0x200; }
  void restore() override {
    for (uint64_t bar = 0; bar < 2; ++bar) {
      set_config<uint32_t>(PCI_BASE_ADDRESS_0 + 4 * bar, placed_[bar]);
    }
    set_config<uint16_t>(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    switch_on_msix();
  }

  template <class T>
  T get(uint64_t offset) {
    T value{};
    root_.read(bar_offset(0) + virtio::PciTransport::kCommon + offset,
               std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T>
  void set(uint64_t offset, T value) {
    write_bar(0, virtio::PciTransport::kCommon + offset, value);
  }
  template <class T>
  T config(uint64_t offset) {
    T value{};
    root_.read_config(0, kSlotFunction, offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T>
  void set_config(uint64_t offset, T value) {
    root_.write_config(0, kSlotFunction, offset, std::as_bytes(std::span(&value, 1)));
  }
  template <class T>
  void write_bar(unsigned bar, uint64_t offset, T value) {
    root_.write(bar_offset(bar) + offset, std::as_bytes(std::span(&value, 1)));
  }
  template <class T>
  T read_bar(unsigned bar, uint64_t offset) {
    T value{};
    root_.read(bar_offset(bar) + offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  // The present offset of a bar in the window.
  uint64_t bar_offset(unsigned bar) {
    return (config<uint32_t>(PCI_BASE_ADDRESS_0 + 4ULL * bar) & ~15ULL) - kWindow;
  }
  // The offset of the `nth` capability with this id; 0 when there is none.
  uint8_t capability(uint8_t id, int nth = 0) {
    uint8_t at = config<uint8_t>(PCI_CAPABILITY_LIST);
    for (; at != 0; at = config<uint8_t>(at + 1ULL)) {
      if (config<uint8_t>(at) == id && nth-- == 0) return at;
    }
    return 0;
  }
  // The message of each vector is its number.
  void switch_on_msix() {
    const uint8_t capability_at = capability(PCI_CAP_ID_MSIX);
    const auto control = config<uint16_t>(capability_at + 2ULL);
    for (uint32_t vector = 0; vector <= (control & PCI_MSIX_FLAGS_QSIZE); ++vector) {
      write_bar<uint32_t>(1, vector * 16ULL, 0xfee00000);
      write_bar<uint32_t>(1, vector * 16ULL + 8, vector);
      write_bar<uint32_t>(1, vector * 16ULL + 12, 0);
    }
    set_config<uint16_t>(capability_at + 2ULL,
                         static_cast<uint16_t>(control | PCI_MSIX_FLAGS_ENABLE));
    set<uint16_t>(VIRTIO_PCI_COMMON_MSIX, 0);
  }

  MockMessages& messages() { return messages_; }
  pci::Root& root() { return root_; }
  // The last report of the transport.
  std::optional<uint64_t> first_doorbell() const { return first_doorbell_; }

 private:
  void set64(uint64_t offset, uint64_t value) {
    set(offset, static_cast<uint32_t>(value));
    set(offset + 4, static_cast<uint32_t>(value >> 32));
  }

  MockMessages messages_;
  std::optional<uint64_t> first_doorbell_;
  pci::Root root_{kWindow, kWindowBytes, kWindow};
  virtio::PciTransport transport_;
  std::array<uint32_t, 2> placed_{};
  uint16_t queue_ = 0;
};

}  // namespace vmm::test
