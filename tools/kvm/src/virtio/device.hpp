// SPDX-License-Identifier: GPL-2.0-only
//
// The interface of a virtio device to its transport: its identity, features, queue sizes,
// configuration space, and its life cycle: activate, notify, reset. machine/ owns devices; a
// transport calls them on vCPU threads, several at a time, so each device guards itself with its
// own mutex. A call does a bounded amount of work, whatever the guest does meanwhile, and leaves
// the rest to the device's Backlog. No guest action makes these functions throw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/event_source.hpp"
#include "virtio/backlog.hpp"
#include "virtio/interrupt.hpp"
#include "virtio/queue/queue.hpp"

namespace vmm::virtio {

// Passed to a device when the driver is ready (DRIVER_OK).
struct Activation {
  uint64_t features;                         // as negotiated
  std::vector<std::optional<Queue>> queues;  // one per queue of the device; empty: not set up
  Interrupt* interrupt;                      // valid until reset() has returned
  Backlog* backlog;                          // valid until reset() has returned
};

class Device {
 public:
  virtual ~Device() = default;

  // VIRTIO_ID_* of <linux/virtio_ids.h>.
  virtual uint32_t type() const = 0;

  // The device's own feature bits; the transport adds those of rings and transport. The device
  // itself offers two of the latter: VIRTIO_F_IN_ORDER, if it completes each queue's chains in the
  // order it popped them, and VIRTIO_F_RING_RESET, if it implements start_queue().
  virtual uint64_t features() const = 0;

  // The largest size of each queue; as many entries as the device has queues.
  virtual std::span<const uint16_t> queue_max_sizes() const = 0;

  // Fills all of `data`; bytes past the end of the configuration space read as zero.
  virtual void read_config(uint64_t offset, std::span<std::byte> data) const = 0;
  virtual void write_config(uint64_t offset, std::span<const std::byte> data) = 0;

  // Changes whenever a field of the configuration space has changed.
  virtual uint32_t config_generation() const = 0;

  // From here on the device owns the queues, and serves the chains that they already hold.
  virtual void activate(Activation activation) = 0;

  // The driver has added buffers to queue `index`, which is less than the number of queues.
  virtual void notify(uint16_t index) = 0;

  // Called on the backlog's thread at the time that the device requested from its backlog.
  virtual void catch_up(uint16_t index) { notify(index); }

  // An eventfd that replaces notify() at any time in the device's life, so that KVM may write it
  // directly; kNoDoorbell for a queue that notify() itself serves.
  static constexpr int kNoDoorbell = -1;
  virtual int doorbell(uint16_t) const { return kNoDoorbell; }

  // The source of used-buffer notifications for a queue that is served elsewhere (vhost). KVM may
  // read it directly, as the device would only call Interrupt::queue_used() for it. Null for other
  // queues. It lives as long as the device.
  virtual base::EventSource* used_source(uint16_t) { return nullptr; }

  // Stop one queue or all; after return the device touches neither guest memory (of that queue) nor
  // the interrupt. A request in progress is finished first.
  virtual void stop_queue(uint16_t index) = 0;
  virtual void reset() = 0;

  // The device's own part of a rewind (machine/rewind.cpp), while no vCPU is in the guest. hold()
  // keeps the device from its queues and from guest memory for as long as the result lives; the
  // other two are called meanwhile. False: this device can't be rewound.
  virtual bool can_rewind() const { return false; }
  using Hold = std::unique_ptr<Device, void (*)(Device*)>;
  virtual Hold hold() { return {nullptr, nullptr}; }
  virtual void checkpoint() {}
  virtual void rewind() {}

  // Restarts a queue that was stopped while the device is active, as activate() does. Only called
  // if the device offers VIRTIO_F_RING_RESET.
  virtual void start_queue(uint16_t, Queue) {}
};

// Serves a read of a configuration space that is a plain struct.
void read_config_bytes(std::span<const std::byte> config, uint64_t offset,
                       std::span<std::byte> data);

}  // namespace vmm::virtio
