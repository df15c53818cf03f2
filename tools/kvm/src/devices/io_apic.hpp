// SPDX-License-Identifier: GPL-2.0-only
//
// The IOAPIC of a machine with only the local APICs in the kernel (split irqchip): 24 pins, each
// with an entry that defines the message it sends. The entries go to KVM as routes, so a pulsed
// line (an irqfd) costs no exit; level-triggered lines are handled here. machine/ owns it; called
// on any vCPU thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "bus/device.hpp"

namespace vmm::devices {

// A message-signalled interrupt.
struct InterruptMessage {
  uint64_t address = 0;
  uint32_t data = 0;

  bool operator==(const InterruptMessage&) const = default;
};

class IoApic : public bus::Device {
 public:
  static constexpr uint64_t kSizeBytes = 0x100;
  static constexpr size_t kPins = 24;

  // The message that each pin sends; nothing while it is masked.
  using Routes = std::array<std::optional<InterruptMessage>, kPins>;

  struct Output {
    virtual ~Output() = default;
    virtual void set_routes(const Routes& routes) = 0;
    // Sends the pin's message once.
    virtual void deliver(uint32_t pin) = 0;
  };

  explicit IoApic(Output& output) : output_(output) { entries_.fill(kMasked); }

  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // Restores the power-on state; the levels of the lines do not change.
  void reset();

  // Sets the level of a device's line. A pin beyond the last is ignored.
  void set_line(uint32_t pin, bool level);

  // A processor has signalled end of interrupt for the vector of a level-triggered pin.
  void end_of_interrupt(uint8_t vector);

 private:
  static constexpr uint64_t kMasked = 1ULL << 16;

  uint32_t read_register() const;
  void write_register(uint32_t value);
  void write_entry(uint32_t index, uint32_t value);
  void assert_pin(size_t pin);
  void publish_routes();

  Output& output_;
  std::mutex mutex_;
  uint8_t selected_ = 0;
  uint8_t id_ = 0;
  std::array<uint64_t, kPins> entries_;
  uint32_t lines_ = 0;  // one bit per pin
};

}  // namespace vmm::devices
