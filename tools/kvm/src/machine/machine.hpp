// SPDX-License-Identifier: GPL-2.0-only
//
// A whole virtual machine, as the Python bindings and tests use it. Its parts are in board.hpp and
// its course in life.hpp; this header exposes neither. Public methods may be called on any thread,
// those marked "after stop" once wait() has returned a StopInfo.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "bus/bus.hpp"
#include "devices/guest_events.hpp"
#include "machine/config/config.hpp"
#include "machine/run/exit_log.hpp"
#include "machine/run/stop.hpp"
#include "machine/run/vcpu_snapshot.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/device/balloon.hpp"

namespace vmm::machine {

class Board;
class Life;

class Machine {
 public:
  // Loads the kernel and leaves the machine ready to start. Throws base::ConfigError,
  // base::LoadError or base::SystemError.
  explicit Machine(MachineConfig config);
  // Stops the machine, and waits for its threads.
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // May be called once.
  void start();

  // The reason why the machine stopped, or nothing if it still runs after `timeout`.
  std::optional<StopInfo> wait(std::chrono::nanoseconds timeout);

  // Asks the vCPUs to stop; wait() returns when they have.
  void stop();

  // When pause() returns, no vCPU is in the guest; devices and clocks keep running. It does nothing
  // if the machine is paused or has stopped. It waits for the vCPUs' threads, at most 5 s. If one
  // does not leave the guest, it throws base::SystemError and the machine continues to run.
  void pause();
  void resume();
  bool paused() const;

  // A paused machine that was configured as rewindable: keeps its state, once; later it can be put
  // back there, any number of times. The guest's output so far is sent first. Bytes that are on
  // their way to the guest at a rewind are lost. Throws base::ConfigError that
  // says what prevents it, or base::SystemError, after which the machine is of no use.
  void checkpoint();
  void rewind();

  // Sends a non-maskable interrupt. Throws base::ConfigError if there is no such vCPU, or if it
  // can't be reached.
  void nmi(uint32_t vcpu);

  // Sends a break and then `key` on COM1: magic SysRq for a kernel with its console there.
  void serial_sysrq(char key);

  // The host's ends of the guest's byte streams; they live as long as the machine.
  int console_fd() const;
  int agent_fd() const;
  int serial_agent_fd() const;
  // The host's ends of the user's serial lines, by number.
  std::map<uint32_t, int> tty_fds() const;
  // The host's end of the stream of GuestEvents' records.
  int events_fd() const;
  // Whether there is more output than fits into these descriptors now.
  bool output_unsent() const;

  // Creates a new viewer's connection to the display (RFB). Throws base::ConfigError if there is
  // none.
  base::UniqueFd connect_viewer();

  // Sets the size of the terminal that shows hvc0. Has no effect for a payload.
  void resize_console(uint16_t columns, uint16_t rows);

  // Becomes readable when wait() has a result.
  int stopped_fd() const;

  const std::string& command_line() const;
  // CLOCK_MONOTONIC when the first vCPU was about to enter the guest; 0 before.
  uint64_t started_ns() const;
  // The time that the constructor took to load kernel and initrd.
  uint64_t load_ns() const;

  const ExitLog& exits() const;
  // Bus traffic by device.
  std::vector<bus::AccessCount> device_counters() const;
  // The last exits, and the reasons why virtio devices need a reset.
  std::vector<std::string> last_exits() const;
  const memory::GuestMemory& memory() const;
  devices::EventPath events_offered() const;
  const devices::GuestEvents& guest_events() const;

  // The guest's memory balloon. Setting a target throws base::ConfigError if there is no balloon,
  // or too little memory. After a request, newer statistics arrive some time later.
  void set_balloon_target(uint64_t mib);
  void ask_balloon_statistics();
  std::optional<virtio::BalloonState> balloon() const;

  // After stop.
  std::vector<VcpuSnapshot> snapshots() const;

 private:
  const std::unique_ptr<Life> life_;
  Board& board_;  // owned by life_
};

}  // namespace vmm::machine
