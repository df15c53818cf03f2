// SPDX-License-Identifier: GPL-2.0-only
//
// A PCI function of the host, presented to the guest. The guest sees the real registers, except for
// those that route accesses and interrupts: bars have addresses of the guest's bus, and MSI and
// MSI-X are emulated, so that the guest's messages reach its own processors. Bars that can be
// mapped become memory of the guest, which then accesses the device without an exit. machine/ owns
// it and attaches it to Root; config accesses come on vCPU threads, interrupts on the loop's thread
// or, with MSI-X, directly from the host's kernel.
//
// Not supported: port bars, INTx, the masking of single MSI messages, and the extended
// configuration space.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "base/event_source.hpp"
#include "base/interrupt.hpp"
#include "bus/device.hpp"
#include "pci/function.hpp"
#include "vfio/device.hpp"

namespace vmm::vfio {

// Maps a device's memory into the guest. Called on vCPU threads, several at a time.
struct GuestWindows {
  virtual ~GuestWindows() = default;

  // Returns the number of a new window, not placed yet, for place() and remove().
  virtual uint32_t reserve() = 0;
  // False when the range is taken; accesses are exits then.
  virtual bool place(uint32_t window, uint64_t address, std::span<std::byte> memory) = 0;
  virtual void remove(uint32_t window) = 0;
};

class Function final : public pci::Function {
 public:
  // All arguments but the device outlive it. Throws a base::ConfigError with the function if it
  // can't be presented to a guest.
  Function(const std::string& address, Device device, base::MessageInterrupt& messages,
           base::EventLoop& loop, GuestWindows& windows);
  ~Function() override;

  void read_config(uint64_t offset, std::span<std::byte> data) override;
  void write_config(uint64_t offset, std::span<const std::byte> data) override;

 private:
  class BarRegisters;
  struct Kind;
  struct Window;
  struct Place;

  void add_bars(const std::string& address);
  void adopt_capabilities(base::MessageInterrupt& messages, base::EventLoop& loop);
  void adopt_msix_at(uint8_t at, base::MessageInterrupt& messages, base::EventLoop& loop);
  void adopt_msi_at(uint8_t at, base::EventLoop& loop);
  uint16_t msi_messages() const;
  void raise_msi(uint16_t number);
  bool is_ours(uint64_t offset) const;
  uint32_t read_device(uint64_t offset, unsigned width) const;
  void write_device(uint64_t offset, std::span<const std::byte> data) const;
  void applied() override;
  void switch_interrupts(Kind& kind, size_t wanted);

  const Device device_;
  const Region config_region_;
  base::MessageInterrupt& messages_;
  GuestWindows& windows_;
  std::vector<std::unique_ptr<BarRegisters>> registers_;
  std::vector<std::unique_ptr<Window>> mapped_;
  // Null where the device has no such capability.
  std::unique_ptr<Kind> msix_kind_;
  pci::MsixTable* msix_table_ = nullptr;
  std::unique_ptr<Kind> msi_kind_;
};

}  // namespace vmm::vfio
