// SPDX-License-Identifier: GPL-2.0-only
//
// The 256 bytes of a conventional PCI function's configuration space (PCI Local Bus 3.0, chapter
// 6), each bit either fixed or writable by the guest. A Function owns one and guards it. The
// extended space of ECAM, past its end, is empty and reads as zero.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vmm::pci {

class ConfigSpace {
 public:
  static constexpr uint64_t kBytes = 256;

  // Little-endian, `width` bytes; `writable` has a one for each bit that the guest may write.
  void set(uint64_t offset, unsigned width, uint32_t value, uint32_t writable = 0);
  uint32_t get(uint64_t offset, unsigned width) const;

  // Appends a capability to the list and returns the offset of its id; the body follows two bytes
  // later (6.7). Capabilities are aligned to four bytes.
  uint8_t add_capability(uint8_t id, std::span<const std::byte> body);

  // The guest's accesses, of any width at any offset.
  void read(uint64_t offset, std::span<std::byte> data) const;
  void write(uint64_t offset, std::span<const std::byte> data);

 private:
  std::array<std::byte, kBytes> bytes_{};
  std::array<std::byte, kBytes> writable_{};
  uint8_t last_link_ = 0;  // offset of the list's last link
  uint64_t capabilities_end_ = 0x40;
};

}  // namespace vmm::pci
