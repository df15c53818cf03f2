// SPDX-License-Identifier: GPL-2.0-only
//
// A PCI function with one bar of registers that record accesses, and an MSI-X table whose messages
// are collected. Shared by the tests of pci/.
#pragma once

#include <linux/pci_regs.h>

#include <cstdint>
#include <span>
#include <vector>

#include "mock_messages.hpp"
#include "pci/function.hpp"

namespace vmm::test {

// Reads return the offset; the offsets of writes are recorded.
struct MockBarRegisters final : bus::Device {
  void read(uint64_t offset, std::span<std::byte> data) override {
    for (std::byte& byte : data) byte = std::byte{static_cast<uint8_t>(offset++)};
  }
  void write(uint64_t offset, std::span<const std::byte>) override { written.push_back(offset); }
  std::vector<uint64_t> written;
};

class MockFunction final : public pci::Function {
 public:
  static constexpr uint32_t kBarBytes = 0x2000;

  explicit MockFunction(uint16_t device = 0x5678)
      : Function({.vendor = 0x1234, .device = device, .class_code = 0x020000, .revision = 3}),
        msix(add_msix(1, messages, 3)) {
    add_bar(0, kBarBytes, registers);
  }

  template <class T>
  T get(uint64_t offset) {
    T value{};
    read_config(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T>
  void set(uint64_t offset, T value) {
    write_config(offset, std::as_bytes(std::span(&value, 1)));
  }

  MockBarRegisters registers;
  MockMessages messages;
  pci::MsixTable& msix;
};

}  // namespace vmm::test
