// SPDX-License-Identifier: GPL-2.0-only
//
// A whole virtual machine, for those who run one: the Python bindings, and tests. Behind it are
// what the machine is made of (board.hpp) and what happens to it (life.hpp); this header shows
// neither. Public methods may be called on any thread, those marked "after stop" once wait() has
// returned a StopInfo.
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

  // Once.
  void start();

  // Why the machine stopped, or nothing when it still runs after `timeout`.
  std::optional<StopInfo> wait(std::chrono::nanoseconds timeout);

  // Asks the vCPUs to stop; wait() tells when they have.
  void stop();

  // No vCPU is in the guest when it returns; devices and clocks go on. Again, or on a machine that
  // has stopped: nothing. Throws base::SystemError when a vCPU does not come out; the machine then
  // goes on. Waits for the vCPUs' threads, at most 5 s.
  void pause();
  void resume();
  bool paused() const;

  // A non-maskable interrupt. Throws base::ConfigError if there is no such vCPU, or no way to it.
  void nmi(uint32_t vcpu);

  // A break on COM1 and then `key`: magic SysRq to a kernel whose console that is.
  void serial_sysrq(char key);

  // The host's ends of the guest's byte streams; they live as long as the machine.
  int console_fd() const;
  int agent_fd() const;
  int serial_agent_fd() const;
  // Those of the serial lines that the user has, by number.
  std::map<uint32_t, int> tty_fds() const;
  // Carries GuestEvents' records.
  int events_fd() const;
  // Whether more will come out of these descriptors once the host has read what is in them.
  bool output_unsent() const;

  // A new viewer's connection to the display (RFB). Throws base::ConfigError if there is none.
  base::UniqueFd connect_viewer();

  // The size of the terminal that hvc0 is shown on, if it is; a payload has no use for it.
  void resize_console(uint16_t columns, uint16_t rows);

  // Becomes readable when wait() has something to tell.
  int stopped_fd() const;

  const std::string& command_line() const;
  // CLOCK_MONOTONIC when the first vCPU was about to enter the guest; 0 before.
  uint64_t started_ns() const;
  // How long the constructor took to load kernel and initrd.
  uint64_t load_ns() const;

  const ExitLog& exits() const;
  // Bus traffic by device.
  std::vector<bus::AccessCount> device_counters() const;
  // The last exits, and why any virtio device needs a reset.
  std::vector<std::string> last_exits() const;
  const memory::GuestMemory& memory() const;
  devices::EventPath events_offered() const;
  const devices::GuestEvents& guest_events() const;

  // The guest's memory balloon. Setting a target throws base::ConfigError if there is no balloon,
  // or too little memory; asking brings newer statistics in some time later.
  void set_balloon_target(uint64_t mib);
  void ask_balloon_statistics();
  std::optional<virtio::BalloonState> balloon() const;

  // After stop.
  std::vector<VcpuSnapshot> snapshots() const;

 private:
  const std::unique_ptr<Life> life_;
  Board& board_;  // the one that life_ has
};

}  // namespace vmm::machine
