// SPDX-License-Identifier: GPL-2.0-only
//
// The life of a machine: the threads of its vCPUs from the first instruction to the stop, pauses
// and sleeps in between, and the reason of the stop. Owns the board that it runs, and represents
// the machine to the board's devices and the vCPU threads. Machine owns one; its public methods may
// be called on any thread, those marked "after stop" once wait() has returned a StopInfo.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "devices/power_control.hpp"
#include "kvm/coalesced_ring.hpp"
#include "machine/board.hpp"
#include "machine/config/config.hpp"
#include "machine/parts/timer.hpp"
#include "machine/run/exit_log.hpp"
#include "machine/run/gate.hpp"
#include "machine/run/stop.hpp"
#include "machine/run/vcpu_snapshot.hpp"
#include "machine/run/vcpu_thread.hpp"

namespace vmm::machine {

class Life : private devices::PowerControl, private RunControl {
 public:
  // Builds the board and its vCPUs, and leaves them ready to start. Throws like Board.
  explicit Life(MachineConfig config);
  // Stops the machine, and waits for its threads.
  ~Life() override;

  Board& board() { return board_; }
  const Board& board() const { return board_; }

  // See Machine.
  void start();
  std::optional<StopInfo> wait(std::chrono::nanoseconds timeout);
  void stop();
  void pause();
  void resume() { gate_.end_pause(); }
  bool paused() const { return gate_.pausing(); }
  void checkpoint();
  void rewind();

  int stopped_fd() const { return finished_event_.get(); }
  uint64_t started_ns() const { return started_ns_.load(); }
  const ExitLog& exits() const { return exits_; }

  // After stop.
  std::vector<VcpuSnapshot> snapshots() const;

 private:
  void create_vcpus();
  void kick_all();
  std::vector<kvm::Vcpu*> held_vcpus(const char* what);
  void finish();  // with mutex_ held

  // devices::PowerControl
  void reset(std::string_view how) override;
  void debug_exit(uint32_t status) override;
  void suspend() override;
  void wake() override;
  void guest_panicked() override;

  // RunControl
  bool stopping() const override { return stopping_.load(std::memory_order_acquire); }
  bool pausing() const override { return gate_.pausing() || board_.suspend().wanted(); }
  void wait_out_pause() override;
  std::optional<StopInfo> handle_exit(uint32_t vcpu, const kvm::Exit& exit) override;
  bool must_wait(const kvm::Exit& exit) const override;
  bool wait_for_room() override { return gate_.wait_for_room(); }
  void request_stop(StopInfo info) override;
  void vcpu_finished() override;

  std::atomic<uint64_t> started_ns_{0};
  base::UniqueFd finished_event_;
  std::atomic<bool> stopping_{false};  // read by the board's devices, as gate_ is
  ExitLog exits_;
  Gate gate_;

  mutable std::mutex mutex_;  // guards the members up to the next blank line
  std::condition_variable finished_changed_;
  std::optional<StopInfo> stop_info_;
  size_t running_ = 0;
  bool started_ = false;
  bool finished_ = false;

  Board board_;  // its devices use the members above
  std::vector<std::unique_ptr<VcpuThread>> vcpus_;
  std::unique_ptr<kvm::CoalescedRing> ring_;
  std::unique_ptr<Timer> drain_timer_;
};

}  // namespace vmm::machine
