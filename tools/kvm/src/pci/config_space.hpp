// SPDX-License-Identifier: GPL-2.0-only
//
// The 256 bytes of a conventional PCI function's configuration space (PCI Local Bus 3.0, chapter
// 6), each bit either fixed or the guest's to write. A Function owns one and guards it. What lies
// past it, in the extended space of ECAM, reads as zero: there is nothing.
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

  // Appends a capability to the list and returns where its id stands; the body follows two bytes
  // later (6.7). Capabilities are aligned to four bytes.
  uint8_t add_capability(uint8_t id, std::span<const std::byte> body);

  // The guest's accesses, of any width at any place.
  void read(uint64_t offset, std::span<std::byte> data) const;
  void write(uint64_t offset, std::span<const std::byte> data);

 private:
  std::array<std::byte, kBytes> bytes_{};
  std::array<std::byte, kBytes> writable_{};
  uint8_t last_link_ = 0;  // where the last capability's address is to be written
  uint64_t capabilities_end_ = 0x40;
};

}  // namespace vmm::pci
