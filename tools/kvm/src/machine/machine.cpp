// SPDX-License-Identifier: GPL-2.0-only
#include "machine/machine.hpp"

#include <utility>

#include "machine/board.hpp"
#include "machine/life.hpp"

namespace vmm::machine {

Machine::Machine(MachineConfig config)
    : life_(std::make_unique<Life>(std::move(config))), board_(life_->board()) {}

Machine::~Machine() = default;

void Machine::start() { life_->start(); }
std::optional<StopInfo> Machine::wait(std::chrono::nanoseconds timeout) {
  return life_->wait(timeout);
}
void Machine::stop() { life_->stop(); }
void Machine::pause() { life_->pause(); }
void Machine::resume() { life_->resume(); }
bool Machine::paused() const { return life_->paused(); }
void Machine::checkpoint() { life_->checkpoint(); }
void Machine::rewind() { life_->rewind(); }
int Machine::stopped_fd() const { return life_->stopped_fd(); }
uint64_t Machine::started_ns() const { return life_->started_ns(); }
const ExitLog& Machine::exits() const { return life_->exits(); }
std::vector<VcpuSnapshot> Machine::snapshots() const { return life_->snapshots(); }

void Machine::nmi(uint32_t vcpu) { board_.nmi(vcpu); }
void Machine::serial_sysrq(char key) { board_.serial_sysrq(key); }
base::UniqueFd Machine::connect_viewer() { return board_.connect_viewer(); }
void Machine::resize_console(uint16_t columns, uint16_t rows) {
  board_.resize_console(columns, rows);
}
void Machine::set_balloon_target(uint64_t mib) { board_.set_balloon_target(mib); }
void Machine::ask_balloon_statistics() { board_.ask_balloon_statistics(); }
std::optional<virtio::BalloonState> Machine::balloon() const { return board_.balloon(); }

int Machine::console_fd() const { return board_.console_fd(); }
int Machine::agent_fd() const { return board_.agent_fd(); }
int Machine::serial_agent_fd() const { return board_.serial_agent_fd(); }
int Machine::events_fd() const { return board_.events_fd(); }
std::map<uint32_t, int> Machine::tty_fds() const { return board_.tty_fds(); }
bool Machine::output_unsent() const { return board_.output_unsent(); }

const std::string& Machine::command_line() const { return board_.command_line(); }
uint64_t Machine::load_ns() const { return board_.load_ns(); }
const memory::GuestMemory& Machine::memory() const { return board_.memory(); }
devices::EventPath Machine::events_offered() const { return board_.events_offered(); }
const devices::GuestEvents& Machine::guest_events() const { return board_.guest_events(); }
std::vector<bus::AccessCount> Machine::device_counters() const { return board_.device_counters(); }

std::vector<std::string> Machine::last_exits() const {
  std::vector<std::string> lines = life_->exits().last();
  for (std::string& fault : board_.faults()) lines.push_back(std::move(fault));
  return lines;
}

}  // namespace vmm::machine
