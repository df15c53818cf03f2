// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/vcpu_thread.hpp"

#include <pthread.h>
#include <signal.h>

#include <exception>
#include <string>
#include <variant>

#include "base/signals.hpp"

namespace vmm::machine {

VcpuThread::VcpuThread(const kvm::Vm& vm, uint32_t id, RunControl& control)
    : vcpu_(vm, id), control_(control), kick_signal_(base::kick_signal()) {}

VcpuThread::~VcpuThread() { join(); }

void VcpuThread::start() {
  thread_ = std::thread([this] { run(); });
}

void VcpuThread::join() {
  if (thread_.joinable()) thread_.join();
}

void VcpuThread::kick() {
  // The flag catches a thread on its way into the guest, the signal one inside it. A thread that
  // has not started yet checks stopping() first.
  vcpu_.request_exit();
  if (running_.load(std::memory_order_acquire)) pthread_kill(self_, kick_signal_);
}

void VcpuThread::run() {
  base::block_signals(kick_signal_);
  self_ = pthread_self();
  running_.store(true, std::memory_order_release);
  pthread_setname_np(pthread_self(), ("vcpu" + std::to_string(vcpu_.id())).c_str());
  try {
    run_until_stop();
    take_snapshot();
  } catch (const std::exception& error) {
    control_.request_stop({StopReason::kVmmError, error.what()});
  }
  control_.vcpu_finished();
}

void VcpuThread::run_until_stop() {
  bool held = false;  // the last exit wrote to an output that is full
  for (;;) {
    // This must come first in every iteration: a request that remained would keep the vCPU out of
    // the guest for ever, and run() sees one that comes later.
    vcpu_.withdraw_exit_request();
    if (control_.stopping()) return;
    if (control_.pausing()) {
      held = wait_out_pause() || held;
    } else if (held) {
      held = !control_.wait_for_room();
      vcpu_.tell_paused();
    } else {
      held = handle(vcpu_.run());
    }
  }
}

bool VcpuThread::handle(const kvm::Exit& exit) {
  if (auto stop = control_.handle_exit(vcpu_.id(), exit)) {
    stop->detail += " (vcpu " + std::to_string(vcpu_.id()) + ")";
    control_.request_stop(std::move(*stop));
  }
  return control_.must_wait(exit);
}

bool VcpuThread::wait_out_pause() {
  const bool held = finish_instruction();
  control_.wait_out_pause();
  vcpu_.tell_paused();
  return held;
}

bool VcpuThread::finish_instruction() {
  // Registers and devices are consistent only after all accesses of the instruction. KVM interrupts
  // a repeated one after 1024 of them.
  bool held = false;
  vcpu_.request_exit();
  for (;;) {
    const kvm::Exit exit = vcpu_.run();
    if (std::holds_alternative<kvm::Interrupted>(exit)) return held;
    held = handle(exit) || held;
  }
}

void VcpuThread::take_snapshot() {
  finish_instruction();
  snapshot_ = VcpuSnapshot{vcpu_.id(), vcpu_.registers(), vcpu_.system_registers()};
}

}  // namespace vmm::machine
