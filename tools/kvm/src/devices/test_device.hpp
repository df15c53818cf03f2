// SPDX-License-Identifier: GPL-2.0-only
//
// The test device that kvm-unit-tests' payloads look for: a latch, memory behind MMIO, interrupt
// lines, and a way to make the host drop its mapping of a page. For payload machines only: machine/
// owns the parts and attaches each at its address; accesses come on vCPU threads.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>

#include "bus/device.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::devices {

// Four bytes that store writes of any width that fits.
class TestLatch : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 4;

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  std::mutex mutex_;
  std::array<std::byte, kSizeBytes> bytes_{};
};

// 64 KiB of memory, where each access is an exit.
class TestRam : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 64 * 1024;

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  std::mutex mutex_;
  std::array<std::byte, kSizeBytes> bytes_{};
};

// A write to offset n raises line n if the value is not zero, and lowers it otherwise.
class TestIrqLines : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 24;  // the pins of an IOAPIC
  using SetLine = std::function<void(uint32_t gsi, bool level)>;

  explicit TestIrqLines(SetLine set_line) : set_line_(std::move(set_line)) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  SetLine set_line_;
};

// A 32-bit write of a guest address drops the page's mapping, but not its content.
class TestFlushPage : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 4;

  explicit TestFlushPage(memory::GuestMemory& memory) : memory_(memory) {}

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  memory::GuestMemory& memory_;
};

}  // namespace vmm::devices
