// SPDX-License-Identifier: GPL-2.0-only
//
// Port 0xe9: every byte written is console output; a read returns 0xe9, by which a guest detects
// the port. machine/ owns it and lets KVM coalesce the writes, so write() is also called on the
// thread that drains the ring. (KVM drops the rest of a `rep outsb` when the ring fills half-way,
// so a guest writes with single `outb`s.)
#pragma once

#include "bus/device.hpp"
#include "devices/byte_sink.hpp"

namespace vmm::devices {

class DebugPort : public bus::Device {
 public:
  explicit DebugPort(ByteSink& output) : output_(output) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  ByteSink& output_;
};

}  // namespace vmm::devices
