// SPDX-License-Identifier: GPL-2.0-only
//
// How a device ends the machine or puts it to sleep. machine/ implements it; devices call it on a
// vCPU thread, which does not re-enter the guest afterwards, without holding a lock.
#pragma once

#include <cstdint>
#include <string_view>

namespace vmm::devices {

struct PowerControl {
  virtual ~PowerControl() = default;

  // The guest asked for a reset; `how` says through which register.
  virtual void reset(std::string_view how) = 0;

  // A test wrote its exit status: `(value << 1) | 1`, as with QEMU's isa-debug-exit.
  virtual void debug_exit(uint32_t status) = 0;

  // Sleep S3: no processor runs until wake(), which may be called at once and on any thread.
  virtual void suspend() = 0;
  virtual void wake() = 0;

  // The guest reported its own panic and is not expected to do anything more.
  virtual void guest_panicked() = 0;
};

}  // namespace vmm::devices
