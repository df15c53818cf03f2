// SPDX-License-Identifier: GPL-2.0-only
//
// A record of the machine's exits: counters by reason and by port, always on because a regression
// test checks their cost, and the last few in full, as evidence of a hang. Written on vCPU threads,
// read on any.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "kvm/exit.hpp"

namespace vmm::machine {

class ExitLog {
 public:
  static constexpr size_t kRemembered = 32;

  // Called after the exit was dispatched, so that the value of a read is known.
  void record(uint32_t vcpu, const kvm::Exit& exit);

  // The counters of reasons and ports that occurred.
  std::vector<std::pair<std::string_view, uint64_t>> reasons() const;
  std::vector<std::pair<uint16_t, uint64_t>> ports() const;

  // Oldest first, one line each: "io write 0x3f8 0x41 (vcpu 0)".
  std::vector<std::string> last() const;

 private:
  struct Entry {
    uint32_t vcpu = 0;
    size_t kind = 0;
    std::string_view name;
    bool is_write = false;
    uint64_t address = 0;
    uint32_t count = 0;
    uint64_t value = 0;
  };

  static std::string render(const Entry& entry);

  mutable std::mutex mutex_;
  std::array<uint64_t, std::variant_size_v<kvm::Exit>> by_reason_{};
  std::array<std::string_view, std::variant_size_v<kvm::Exit>> names_{};
  std::unordered_map<uint16_t, uint64_t> by_port_;
  std::array<Entry, kRemembered> ring_{};
  uint64_t recorded_ = 0;
};

}  // namespace vmm::machine
