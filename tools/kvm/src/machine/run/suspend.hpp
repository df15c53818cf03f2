// SPDX-License-Identifier: GPL-2.0-only
//
// ACPI's sleep S3 as the vCPU threads live through it: they come out of the guest and wait here;
// the last one cuts the hardware's power, as it were; when the machine is woken, they go on.
// machine/ owns one; whoever begins a sleep also kicks the vCPUs. A pause takes threads away from
// here, and they come back: vCPUs in either place are out of the guest.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "machine/run/gate.hpp"

namespace vmm::machine {

class Suspend {
 public:
  // The first two are called with a lock held, so they must not call back.
  struct Hardware {
    virtual ~Hardware() = default;

    // No vCPU is in the guest. On a vCPU's thread; may throw.
    virtual void cut_power() = 0;
    // The guest is about to go on; false when it can't. On any thread.
    virtual bool restore_power() = 0;
    // It could not.
    virtual void lost() = 0;
  };

  Suspend(Hardware& hardware, size_t vcpus) : hardware_(hardware), vcpus_(vcpus) {}

  bool wanted() const { return wanted_.load(std::memory_order_acquire); }

  void begin();
  // Once for each sleep, on any thread, also before begin(): the sleep then ends as soon as every
  // vCPU has come to it.
  void wake();
  // The machine stops: nobody waits, and no other sleep begins.
  void abandon();

  // A vCPU's thread, until the sleep is over or a pause begins.
  void wait_out(const Gate& gate);
  // A pause has begun.
  void stir();

 private:
  bool end();  // with mutex_ held

  Hardware& hardware_;
  const size_t vcpus_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> wanted_{false};
  bool woken_ = false;
  bool without_power_ = false;
  bool abandoned_ = false;
  size_t waiting_ = 0;
};

}  // namespace vmm::machine
