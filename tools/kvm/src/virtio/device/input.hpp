// SPDX-License-Identifier: GPL-2.0-only
//
// The input device (virtio 1.2, 5.8): keys, wheels and pointers of a viewer. machine/ owns one per
// keyboard or pointer; reports come on the reporting thread, and wait for the driver's buffers up
// to a limit, beyond which they are lost, as with a real keyboard that is not read. Messages from
// the driver (LEDs) are accepted and ignored.
#pragma once

#include <linux/virtio_input.h>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "virtio/device.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

// Codes and types are those of <linux/input-event-codes.h>.
struct InputTraits {
  std::string name;
  uint16_t product = 0;
  std::vector<uint16_t> keys{};             // keys and buttons
  std::vector<uint16_t> relative{};         // wheels
  std::map<uint16_t, uint32_t> absolute{};  // by axis, the largest value; the smallest is 0
  bool repeats = false;                     // the guest's kernel repeats held keys
};

struct InputEvent {
  uint16_t type;
  uint16_t code;
  uint32_t value;
  bool operator==(const InputEvent&) const = default;
};

class Input final : public Device {
 public:
  // The limit of events that wait for buffers.
  static constexpr size_t kMaxWaiting = 256;

  explicit Input(InputTraits traits);

  // Reports events of one moment; adds the event that ends a report. Any thread.
  void report(std::span<const InputEvent> events);

  uint32_t type() const override;
  uint64_t features() const override;
  std::span<const uint16_t> queue_max_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t offset, std::span<const std::byte> data) override;
  uint32_t config_generation() const override { return 0; }
  void activate(Activation activation) override;
  void notify(uint16_t index) override;
  void stop_queue(uint16_t index) override;
  void reset() override;
  void start_queue(uint16_t index, Queue queue) override;

 private:
  void select();
  void set_string(const std::string& text);
  void set_bits(std::span<const uint16_t> codes);
  void set_event_bits();
  void set_axis();
  void send();
  void take_status();

  const InputTraits traits_;
  mutable std::mutex mutex_;  // guards the members below
  QueueSet queues_;
  virtio_input_config config_{};
  std::deque<virtio_input_event> waiting_;
};

}  // namespace vmm::virtio
