// SPDX-License-Identifier: GPL-2.0-only
//
// The CMOS clock (MC146818) at ports 0x70 and 0x71: the host's time in UTC, read-only, without
// alarms. machine/ owns it; accesses come on vCPU threads.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <functional>
#include <mutex>

#include "bus/device.hpp"

namespace vmm::devices {

class Rtc : public bus::Device {
 public:
  using Clock = std::function<std::time_t()>;

  explicit Rtc(Clock clock = [] { return std::time(nullptr); });

  size_t widest_access() const override { return 1; }
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  uint8_t read_register(uint8_t index) const;
  uint8_t encode(int value) const;

  Clock clock_;
  mutable std::mutex mutex_;
  uint8_t index_ = 0;
  std::array<uint8_t, 128> memory_{};
};

}  // namespace vmm::devices
