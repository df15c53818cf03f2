// SPDX-License-Identifier: GPL-2.0-only
//
// The two ways to access a configuration space: configuration mechanism 1, an address port and a
// data port (PCI Local Bus 3.0, 3.2.2.3.2), and ECAM, where each function's space is a page of
// memory (PCI Express 5.0, 7.2.2). Both use Root. machine/ owns them and puts them on its buses.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "bus/device.hpp"
#include "pci/root.hpp"

namespace vmm::pci {

// Ports 0xcf8 to 0xcff. The PC's reset control register is among them: an access that begins at its
// port, 0xcf9, is passed on to it with the same offset.
class ConfigPorts final : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 8;

  ConfigPorts(Root& root, bus::Device& reset_control)
      : root_(root), reset_control_(reset_control) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  void checkpoint() { kept_ = address_; }
  void rewind() { address_ = kept_; }

 private:
  Root& root_;
  bus::Device& reset_control_;
  std::atomic<uint32_t> address_ = 0;
  uint32_t kept_ = 0;  // at the checkpoint
};

// The configuration spaces of bus 0.
class Ecam final : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 1 << 20;

  explicit Ecam(Root& root) : root_(root) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  Root& root_;
};

}  // namespace vmm::pci
