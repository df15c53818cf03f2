// SPDX-License-Identifier: GPL-2.0-only
//
// One PCI function: its configuration space, its memory bars, and its MSI-X table if it has one.
// The host bridge is a plain Function; a virtio transport derives from it. machine/ owns functions
// and attaches them to Root, which places their bars, as firmware would, and calls the config
// methods on vCPU threads, several at a time. Bars are decoded while the guest's command register
// enables them, at any address that the guest writes.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/interrupt.hpp"
#include "bus/device.hpp"
#include "pci/bar.hpp"
#include "pci/config_space.hpp"
#include "pci/msix.hpp"

namespace vmm::pci {

struct Identity {
  uint16_t vendor;
  uint16_t device;
  uint32_t class_code;  // class, subclass, programming interface: 24 bits
  uint8_t revision = 0;
  uint16_t subsystem_vendor = 0;
  uint16_t subsystem = 0;
};

class Function {
 public:
  explicit Function(const Identity& identity);
  virtual ~Function() = default;
  Function(const Function&) = delete;
  Function& operator=(const Function&) = delete;

  virtual void read_config(uint64_t offset, std::span<std::byte> data);
  virtual void write_config(uint64_t offset, std::span<const std::byte> data);

  const std::vector<std::unique_ptr<Bar>>& bars() const { return bars_; }

  // While no vCPU is in the guest: keeps configuration space and the MSI-X table, and brings them
  // back.
  virtual void checkpoint();
  virtual void rewind();

  // Sets a bar's address, as firmware does before an operating system starts. `address` is a
  // multiple of the size.
  void place_bar(const Bar& bar, uint32_t address);
  void enable_memory();

 protected:
  // Called while the function is built. A bar's size is a power of two, 16 bytes or more; bars have
  // 32 bits and are not prefetchable.
  Bar& add_bar(unsigned index, uint32_t size, bus::Device& device);
  uint8_t add_capability(uint8_t id, std::span<const std::byte> body);
  MsixTable& add_msix(unsigned bar_index, base::MessageInterrupt& messages, uint16_t vectors);

  // For a function with a given layout: the capability is at `at` and links to `next`; the caller
  // maps the table and the pending bits.
  struct MsixPlaces {
    uint32_t table;  // as in the capability: offset and bar
    uint32_t pending;
  };
  MsixTable& adopt_msix(uint8_t at, uint8_t next, MsixPlaces places,
                        base::MessageInterrupt& messages, uint16_t vectors);

  // Called with config_mutex_ held after a write by the guest: bars may have moved, MSI-X may have
  // been switched on or off.
  virtual void applied() {}

  std::mutex config_mutex_;  // guards config_; last in the lock order except for the MSI-X table's
  ConfigSpace config_;

 private:
  ConfigSpace kept_;  // at the checkpoint

  void apply();

  std::vector<std::unique_ptr<Bar>> bars_;
  std::unique_ptr<MsixTable> msix_;
  uint8_t msix_capability_ = 0;
};

}  // namespace vmm::pci
