// SPDX-License-Identifier: GPL-2.0-only
//
// Waits for a condition that another thread makes true, up to a deadline that only a failing test
// reaches.
#pragma once

#include <chrono>
#include <thread>

namespace vmm::test {

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace vmm::test
