// SPDX-License-Identifier: GPL-2.0-only
//
// The state between a driver and a device, from reset to reset, for any register layout: features,
// the status state machine, the set-up of queues, faults (virtio 1.2, 2.1, 2.2, 3.1). Each
// transport owns one and holds its own mutex while it calls it; registers and interrupts are the
// transport's concern. status(), fault(), notify() and note_fault() need no mutex, as interrupts
// and notifications are on the hot path.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memory/guest_memory.hpp"
#include "virtio/backlog.hpp"
#include "virtio/device.hpp"
#include "virtio/interrupt.hpp"

namespace vmm::virtio {

// The rings offered to drivers: split only, or also packed.
enum class Rings : uint8_t { kSplit, kPacked };

class Session {
 public:
  enum class QueuePart : uint8_t { kDescriptors, kAvailable, kUsed };
  enum class Half : uint8_t { kLow, kHigh };

  // The device gets `interrupt` when it is activated. All three outlive the session. `leave` is for
  // the device's Backlog.
  Session(Device& device, memory::GuestMemory& memory, Interrupt& interrupt, Rings rings,
          Backlog::Leave leave = {});
  // After it, nothing calls `interrupt`.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Features in words of 32 bits; those past the second are zero.
  uint32_t offered_features(uint32_t word) const;
  uint32_t accepted_features(uint32_t word) const;
  void accept_features(uint32_t word, uint32_t value);

  uint32_t status() const { return status_; }
  // True when this was a reset.
  bool write_status(uint32_t value);

  uint16_t queue_count() const { return static_cast<uint16_t>(queues_.size()); }
  bool has_queue(uint32_t index) const { return index < queues_.size(); }

  // These require the index of an existing queue. They do not change size and addresses of a ready
  // queue.
  uint16_t queue_max_size(uint32_t index) const;
  uint16_t queue_size(uint32_t index) const { return queues_[index].state.size; }
  uint64_t queue_address(uint32_t index, QueuePart part) const;
  bool queue_ready(uint32_t index) const { return queues_[index].ready; }
  void set_queue_size(uint32_t index, uint32_t size);
  void set_queue_address(uint32_t index, QueuePart part, Half half, uint32_t value);
  // Queues are set up between FEATURES_OK and DRIVER_OK, or after a reset of the queue.
  void enable_queue(uint32_t index);
  void disable_queue(uint32_t index);
  // VIRTIO_F_RING_RESET (2.6.1): resets the queue, which may then be set up again at any time.
  void reset_queue(uint32_t index);

  void notify(uint32_t index);

  // Records the device's needs_reset(). True if the transport should notify the driver by
  // config_changed().
  bool note_fault(uint16_t index, Fault fault);

  // While no vCPU is in the guest: keeps what the driver has settled, and brings it back. The
  // device keeps its own part.
  void checkpoint();
  void rewind();

  // The reason why the device needs a reset, for a verdict's evidence; nothing without a fault.
  std::optional<std::string> fault() const;

 private:
  struct QueueSetup {
    QueueState state;
    bool ready = false;
    bool was_reset = false;  // alone: it may be set up while the device runs
  };

  struct Kept {
    uint64_t driver_features = 0;
    bool unknown_features = false;
    std::vector<QueueSetup> queues;
    uint32_t status = 0;
    uint32_t fault = 0;
  };

  static memory::GuestAddress& address_of(QueueState& state, QueuePart part);
  bool features_acceptable() const;
  bool has_feature(int bit) const { return (driver_features_ >> bit & 1) != 0; }
  bool setup_allowed(const QueueSetup& setup) const;
  std::variant<Queue, Fault> create_queue(uint32_t index) const;
  QueueSetup fresh_setup(uint32_t index) const;
  void activate();
  void reset();

  Device& device_;
  memory::GuestMemory& memory_;
  Interrupt& interrupt_;
  const uint64_t offered_features_;

  uint64_t driver_features_ = 0;
  bool unknown_features_ = false;  // the driver accepted bits beyond the second word
  std::vector<QueueSetup> queues_;

  std::atomic<uint32_t> status_ = 0;
  std::atomic<uint32_t> fault_ = 0;  // 0: none; else 1 + fault | index << 16
  Kept kept_;                        // at the checkpoint
  Backlog backlog_;
};

}  // namespace vmm::virtio
