// SPDX-License-Identifier: GPL-2.0-only
//
// A device on a bus. It sees offsets into its own range, never absolute addresses. Called on the
// vCPU thread that made the access, so a device guards its state with its own mutex. machine/ owns
// devices; the bus only refers to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vmm::bus {

class Device {
 public:
  virtual ~Device() = default;

  // The widest access that the device takes whole, in bytes. The bus splits a wider one into bytes,
  // as the ISA bus does for an 8-bit device.
  virtual size_t widest_access() const { return 8; }

  // The size of `data` is the width of the access. A read fills all of it.
  virtual void read(uint64_t offset, std::span<std::byte> data) = 0;
  virtual void write(uint64_t offset, std::span<const std::byte> data) = 0;
};

}  // namespace vmm::bus
