// SPDX-License-Identifier: GPL-2.0-only
//
// The interface by which a virtio device notifies its driver. A transport implements it; devices
// call it under their own mutex, on a vCPU thread or the event loop's, so an implementation takes
// no lock that is held while a device is called.
#pragma once

#include <cstdint>

#include "virtio/queue/fault.hpp"

namespace vmm::virtio {

class Interrupt {
 public:
  virtual ~Interrupt() = default;

  // Queue `index` has used buffers and the driver wants an interrupt.
  virtual void queue_used(uint16_t index) = 0;

  // The device's configuration space has changed.
  virtual void config_changed() = 0;

  // The driver broke queue `index`; the device does nothing more until it is reset
  // (virtio 1.2, 2.1.2: DEVICE_NEEDS_RESET).
  virtual void needs_reset(uint16_t index, Fault fault) = 0;
};

}  // namespace vmm::virtio
