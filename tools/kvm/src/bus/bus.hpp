// SPDX-License-Identifier: GPL-2.0-only
//
// An address space of devices: the machine has one for ports and one for MMIO. machine/ attaches
// everything before the first vCPU runs; after that read() and write() are called on any vCPU
// thread and take no lock. Owned by machine/, before the devices it refers to.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bus/device.hpp"

namespace vmm::bus {

struct AccessCount {
  std::string name;
  uint64_t reads;
  uint64_t writes;
};

class Bus {
 public:
  // Throws std::logic_error when the range is empty, wraps or overlaps another one.
  void attach(uint64_t base, uint64_t size, Device& device, std::string name);

  // An access that no single device takes whole is split into bytes, and each byte goes to the
  // device at its address. False when no device claims any of it; unclaimed bytes read as ones, and
  // writes to them have no effect.
  bool read(uint64_t address, std::span<std::byte> data);
  bool write(uint64_t address, std::span<const std::byte> data);

  // One entry per attached range, in address order, and one named "unclaimed" if there were
  // unclaimed accesses.
  std::vector<AccessCount> counters() const;

 private:
  struct Range {
    uint64_t base;
    uint64_t size;
    Device* device;
    std::string name;
    std::atomic<uint64_t> reads{0};
    std::atomic<uint64_t> writes{0};
  };

  // The range whose device takes the access whole; nullptr if there is none.
  Range* find(uint64_t address, size_t length) const;
  bool read_bytes(uint64_t address, std::span<std::byte> data);
  bool write_bytes(uint64_t address, std::span<const std::byte> data);

  std::vector<std::unique_ptr<Range>> ranges_;  // sorted by base
  std::atomic<uint64_t> unclaimed_reads_{0};
  std::atomic<uint64_t> unclaimed_writes_{0};
};

}  // namespace vmm::bus
