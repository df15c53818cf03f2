// SPDX-License-Identifier: GPL-2.0-only
//
// Collects the interrupt messages of a function, and the eventfds that are passed on. Shared by the
// tests of pci/ and of virtio over it.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/interrupt.hpp"

namespace vmm::test {

struct MockMessages final : base::MessageInterrupt {
  void signal(uint64_t address, uint32_t data) override { sent.push_back({address, data}); }
  bool pass(int event_fd, uint64_t address, uint32_t data) override {
    if (takes) passed[event_fd] = {address, data};
    return takes;
  }
  void drop(int event_fd) override { passed.erase(event_fd); }

  std::vector<std::pair<uint64_t, uint32_t>> sent;
  std::map<int, std::pair<uint64_t, uint32_t>> passed;
  bool takes = true;
};

}  // namespace vmm::test
