// SPDX-License-Identifier: GPL-2.0-only
//
// What every virtio device offers to whichever transport it sits behind: its identity, features,
// queue sizes, configuration space, and its life: activate, notify, reset. machine/ owns devices; a
// transport calls them on vCPU threads, several at a time, so each device guards itself with its
// own mutex. A call does a bounded amount of work, whatever the guest does meanwhile, and leaves
// the rest to the device's Backlog. Nothing here throws for what a guest does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/event_source.hpp"
#include "virtio/backlog.hpp"
#include "virtio/interrupt.hpp"
#include "virtio/queue/queue.hpp"

namespace vmm::virtio {

// What a device gets when the driver is ready for it (DRIVER_OK).
struct Activation {
  uint64_t features;                         // as negotiated
  std::vector<std::optional<Queue>> queues;  // one per queue of the device; empty: not set up
  Interrupt* interrupt;                      // valid until reset() has returned
  Backlog* backlog;                          // valid as long
};

class Device {
 public:
  virtual ~Device() = default;

  // VIRTIO_ID_* of <linux/virtio_ids.h>.
  virtual uint32_t type() const = 0;

  // The device's own feature bits; the transport adds those of rings and transport. Two of the
  // latter are for the device to offer: VIRTIO_F_IN_ORDER, if it completes each queue's chains in
  // the order it popped them, and VIRTIO_F_RING_RESET, if it implements start_queue().
  virtual uint64_t features() const = 0;

  // The largest size of each queue; as many entries as the device has queues.
  virtual std::span<const uint16_t> queue_max_sizes() const = 0;

  // Fills all of `data`; bytes past the end of the configuration space read as zero.
  virtual void read_config(uint64_t offset, std::span<std::byte> data) const = 0;
  virtual void write_config(uint64_t offset, std::span<const std::byte> data) = 0;

  // Changes whenever a field of the configuration space has changed.
  virtual uint32_t config_generation() const = 0;

  // From here on the device owns the queues, and serves what they hold already.
  virtual void activate(Activation activation) = 0;

  // The driver has added buffers to queue `index`, which is less than the number of queues.
  virtual void notify(uint16_t index) = 0;

  // The time has come that the device asked its backlog for; on the backlog's thread.
  virtual void catch_up(uint16_t index) { notify(index); }

  // An eventfd whose writing is as good as notify() at any time in the device's life, so that KVM
  // may write it in our place; kNoDoorbell for a queue that is served by notify() itself.
  static constexpr int kNoDoorbell = -1;
  virtual int doorbell(uint16_t) const { return kNoDoorbell; }

  // What tells of used buffers in a queue that is served by somebody else, for KVM to take in our
  // place: nothing but Interrupt::queue_used() would come of it. Null for other queues. The device
  // keeps it as long as it lives.
  virtual base::EventSource* used_source(uint16_t) { return nullptr; }

  // Lets go of one queue or of all; once it has returned the device touches neither guest memory
  // (of that queue) nor the interrupt. A request that is being served is finished first.
  virtual void stop_queue(uint16_t index) = 0;
  virtual void reset() = 0;

  // A queue that was stopped while the device is active is there anew, as in activate(). Only
  // called if the device offers VIRTIO_F_RING_RESET.
  virtual void start_queue(uint16_t, Queue) {}
};

// Serves a read of a configuration space that is a plain struct.
void read_config_bytes(std::span<const std::byte> config, uint64_t offset,
                       std::span<std::byte> data);

}  // namespace vmm::virtio
