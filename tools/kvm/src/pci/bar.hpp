// SPDX-License-Identifier: GPL-2.0-only
//
// The range of device registers behind a base address register. The guest may move it or switch it
// off while processors use it. A Function owns its bars and sets their address; Root looks up the
// one that an access is meant for, on any vCPU thread, without a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "bus/device.hpp"

namespace vmm::pci {

struct Bar {
  static constexpr uint64_t kUnmapped = ~uint64_t{0};

  Bar(unsigned bar_index, uint32_t bar_size, bus::Device& bar_device)
      : index(bar_index), size(bar_size), device(bar_device) {}

  // `length` is not zero. False for an access that straddles an end.
  bool holds(uint64_t access, uint64_t length) const {
    const uint64_t base = address;
    if (base == kUnmapped || access < base) return false;
    const uint64_t offset = access - base;
    return offset < size && length <= size - offset;
  }

  const unsigned index;
  const uint32_t size;  // a power of two
  bus::Device& device;
  std::string name;  // for the counters
  std::atomic<uint64_t> address{kUnmapped};
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> writes{0};
};

}  // namespace vmm::pci
