// SPDX-License-Identifier: GPL-2.0-only
//
// The thread that runs one vCPU: it enters the guest and passes each exit to the machine, until the
// machine stops; then it takes a snapshot of the registers. machine/ owns one per vCPU. Between an
// exit and the next entry it may wait for the end of a pause, or for room in an output; it holds no
// lock then.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

#include "kvm/vcpu.hpp"
#include "machine/run/stop.hpp"
#include "machine/run/vcpu_snapshot.hpp"

namespace vmm::machine {

// The interface of the machine to its vCPU threads, which all call it concurrently.
struct RunControl {
  virtual ~RunControl() = default;

  virtual bool stopping() const = 0;
  // Defaults: a machine that is never paused and has no outputs.
  virtual bool pausing() const { return false; }
  // Returns when the pause is over, or the machine stops.
  virtual void wait_out_pause() {}
  virtual std::optional<StopInfo> handle_exit(uint32_t vcpu, const kvm::Exit& exit) = 0;
  // Whether the vCPU must wait for room after this exit, because it wrote to an output that is
  // full.
  virtual bool must_wait(const kvm::Exit&) const { return false; }
  // True when there is room; false when a pause or the stop comes first.
  virtual bool wait_for_room() { return true; }
  virtual void request_stop(StopInfo info) = 0;
  // The thread's last call.
  virtual void vcpu_finished() = 0;
};

class VcpuThread {
 public:
  VcpuThread(const kvm::Vm& vm, uint32_t id, RunControl& control);
  ~VcpuThread();
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;

  // For configuration; only before start().
  kvm::Vcpu& vcpu() { return vcpu_; }

  void start();

  // Makes the loop check stopping() and pausing() soon, wherever it is. Any thread, before join().
  void kick();

  void join();

  // Valid after vcpu_finished(); nothing when KVM did not provide the registers.
  const std::optional<VcpuSnapshot>& snapshot() const { return snapshot_; }

 private:
  void run();
  void run_until_stop();
  // These three return whether the vCPU must wait for room.
  bool handle(const kvm::Exit& exit);
  bool wait_out_pause();
  bool finish_instruction();
  void take_snapshot();

  kvm::Vcpu vcpu_;
  RunControl& control_;
  const int kick_signal_;
  std::optional<VcpuSnapshot> snapshot_;
  std::atomic<bool> running_{false};
  pthread_t self_{};  // valid once running_ is set
  std::thread thread_;
};

}  // namespace vmm::machine
