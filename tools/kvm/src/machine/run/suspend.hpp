// SPDX-License-Identifier: GPL-2.0-only
//
// Synchronises the vCPU threads during ACPI's sleep S3: they leave the guest and wait here; the
// last one calls cut_power(); when the machine is woken, they continue. machine/ owns one; the code
// that begins a sleep also kicks the vCPUs. During a pause the threads wait at the gate instead,
// and then return: in both places they are out of the guest.
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

    // Called on a vCPU's thread while no vCPU is in the guest; may throw.
    virtual void cut_power() = 0;
    // Called before the guest resumes; returns false when it can't. Any thread.
    virtual bool restore_power() = 0;
    // Called when the guest could not resume.
    virtual void lost() = 0;
  };

  Suspend(Hardware& hardware, size_t vcpus) : hardware_(hardware), vcpus_(vcpus) {}

  bool wanted() const { return wanted_.load(std::memory_order_acquire); }

  void begin();
  // Called once for each sleep, on any thread, perhaps before begin(): the sleep then ends as soon
  // as every vCPU has reached it.
  void wake();
  // The machine stops: no thread waits from now on, and no other sleep begins.
  void abandon();

  // Called on a vCPU's thread; waits until the sleep is over or a pause begins.
  void wait_out(const Gate& gate);
  // Wakes the waiting threads because a pause has begun.
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
