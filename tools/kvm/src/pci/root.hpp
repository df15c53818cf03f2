// SPDX-License-Identifier: GPL-2.0-only
//
// The machine's PCI bus, number 0, behind a host bridge in slot 0: finds the function that a
// configuration access is meant for and, as a bus::Device over the host bridge's memory window, the
// bar that a memory access is meant for. machine/ owns it, attaches every function before the first
// vCPU runs, and puts the window on the MMIO bus; afterwards it is used on vCPU threads without a
// lock. A bar that the guest moves out of the window can't be accessed, as on a real bridge.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bus/bus.hpp"
#include "bus/device.hpp"
#include "pci/function.hpp"

namespace vmm::pci {

class Root final : public bus::Device {
 public:
  static constexpr unsigned kSlots = 32;

  // The window lies below 4 GiB; bars are placed in it from `first_address` on, which leaves the
  // range below to guests that place bars themselves.
  Root(uint64_t window_start, uint64_t window_bytes, uint64_t first_address);

  // Puts `function` into the next slot, and its bars into the window; `name` is for the counters.
  // The caller must check has_room() first: it needs a slot, and space in the window.
  bool has_room(const Function& function) const;
  void attach(Function& function, const std::string& name);

  // `slot_function` is as in config addresses: slot << 3 | function. False when there is no such
  // function.
  bool read_config(uint32_t bus, uint32_t slot_function, uint64_t offset,
                   std::span<std::byte> data);
  bool write_config(uint32_t bus, uint32_t slot_function, uint64_t offset,
                    std::span<const std::byte> data);

  // Whether a bar at that address lies in the window.
  bool reaches(uint64_t address) const { return address >= window_start_ && address < window_end_; }

  // Memory accesses, by offset into the window. Addresses without a bar read as all ones.
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // The bridge's part of a rewind; other functions' owners see to theirs.
  void checkpoint() { bridge_.checkpoint(); }
  void rewind() { bridge_.rewind(); }

  // One entry per bar, and "unclaimed-pci" when there were such accesses.
  std::vector<bus::AccessCount> counters() const;

 private:
  Function* find(uint32_t bus, uint32_t slot_function) const;
  Bar* find_bar(uint64_t address, size_t length) const;

  Function bridge_;
  const uint64_t window_start_;
  const uint64_t window_end_;
  uint64_t next_address_;
  std::array<Function*, kSlots> functions_{};
  unsigned next_slot_ = 0;
  std::vector<Bar*> bars_;
  std::atomic<uint64_t> unclaimed_reads_{0};
  std::atomic<uint64_t> unclaimed_writes_{0};
};

}  // namespace vmm::pci
