// SPDX-License-Identifier: GPL-2.0-only
//
// What sits on a bus. A device sees offsets into its own range, never absolute addresses. Called
// on whichever vCPU thread made the access, so a device guards its state with its own mutex.
// machine/ owns devices; the bus only refers to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vmm::bus {

class Device {
 public:
  virtual ~Device() = default;

  // The widest access that the device takes whole, in bytes. The bus makes a wider one byte by
  // byte, as the ISA bus does for a device of 8 bits.
  virtual size_t widest_access() const { return 8; }

  // `data` is as long as the access is wide. A read fills all of it.
  virtual void read(uint64_t offset, std::span<std::byte> data) = 0;
  virtual void write(uint64_t offset, std::span<const std::byte> data) = 0;
};

}  // namespace vmm::bus
