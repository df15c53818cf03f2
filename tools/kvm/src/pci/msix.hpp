// SPDX-License-Identifier: GPL-2.0-only
//
// A function's MSI-X table and pending bits (PCI Local Bus 3.0, 6.8.2), as the register range
// behind its bar: the table from offset 0, the pending bits from kPendingOffset. Function owns it
// and passes on the capability's control word; raise() may be called on any thread, under a
// device's mutex: its own mutex is held while the message is sent and never while a device is
// called.
//
// A vector that an eventfd raises may be wired to it: while the vector is unmasked, KVM sends its
// messages without a thread of the VMM. While it is masked, the eventfd's owner reads it again and
// calls raise(), and the vector is pending.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/event_source.hpp"
#include "base/interrupt.hpp"
#include "bus/device.hpp"

namespace vmm::pci {

class MsixTable final : public bus::Device {
 public:
  static constexpr uint32_t kSizeBytes = 0x2000;
  static constexpr uint32_t kPendingOffset = 0x1000;
  static constexpr uint16_t kMaxVectors = 256;

  // 1 to kMaxVectors, all masked, as after a reset.
  MsixTable(base::MessageInterrupt& messages, uint16_t vectors);

  uint16_t vectors() const { return static_cast<uint16_t>(entries_.size()); }

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // Takes the capability's message control word, whenever the guest has written it.
  void set_control(uint16_t control);

  // While no vCPU is in the guest and no source is wired: keeps what the driver has settled, and
  // brings it back. The control word is config space's.
  void checkpoint();
  void rewind();

  // `vector` must be in the table. Does nothing while the guest has not enabled MSI-X.
  void raise(uint16_t vector);

  // Lets `source` raise `vector` until unwire(). It must not be wired to another vector, and its
  // owner calls raise() while the vector is masked. A source that is destroyed before the table
  // must be unwired first.
  void wire(uint16_t vector, base::EventSource& source);
  void unwire(base::EventSource& source);

 private:
  struct Entry {
    uint64_t address = 0;
    uint32_t data = 0;
    uint32_t control;
    bool pending = false;
  };

  struct Wire {
    base::EventSource* source;
    uint16_t vector;
    bool passed = false;  // KVM sends its messages
  };

  uint32_t read_word(uint64_t offset) const;
  void write_word(uint64_t offset, uint32_t value);
  bool masked(const Entry& entry) const;
  void send_pending(Entry& entry);
  void take_back(Wire& wire);
  void take_back(uint16_t vector);
  void pass_on(uint16_t vector);

  base::MessageInterrupt& messages_;
  mutable std::mutex mutex_;  // guards all that follows
  std::vector<Entry> entries_;
  std::vector<Entry> kept_;  // at the checkpoint
  std::vector<Wire> wires_;
  bool enabled_ = false;
  bool all_masked_ = false;
};

}  // namespace vmm::pci
