// SPDX-License-Identifier: GPL-2.0-only
//
// Collects the interrupt messages of a function. Shared by the tests of pci/ and of virtio over it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/interrupt.hpp"

namespace vmm::test {

struct MockMessages final : base::MessageInterrupt {
  void signal(uint64_t address, uint32_t data) override { sent.push_back({address, data}); }
  std::vector<std::pair<uint64_t, uint32_t>> sent;
};

}  // namespace vmm::test
