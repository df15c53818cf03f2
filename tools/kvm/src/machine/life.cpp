// SPDX-License-Identifier: GPL-2.0-only
#include "machine/life.hpp"

#include <sched.h>
#include <sys/eventfd.h>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "machine/run/dispatch.hpp"

namespace vmm::machine {
namespace {

// Coalesced output waits for an exit or for this timer; short enough for a person who watches.
constexpr std::chrono::milliseconds kDrainPeriod{20};
// A kick takes microseconds, or some milliseconds on a busy host.
constexpr std::chrono::seconds kPauseTimeout{5};
// The time that a stopping machine waits for readers of its output; the rest can still be read
// later.
constexpr std::chrono::seconds kLastWords{1};

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Changes the affinity of the calling thread; the destructor restores the original one.
class Affinity {
 public:
  Affinity() : before_(kMost / kBitsPerWord) {
    base::check(sched_getaffinity(0, bytes(before_), set_of(before_)), "sched_getaffinity");
  }
  ~Affinity() { sched_setaffinity(0, bytes(before_), set_of(before_)); }
  Affinity(const Affinity&) = delete;
  Affinity& operator=(const Affinity&) = delete;

  bool has(uint32_t cpu) const {
    return cpu < kMost && (before_[cpu / kBitsPerWord] >> cpu % kBitsPerWord & 1) != 0;
  }

  std::string text() const {
    std::string all;
    for (uint32_t cpu = 0; cpu < kMost; ++cpu) {
      if (has(cpu)) all += (all.empty() ? "" : ", ") + std::to_string(cpu);
    }
    return all;
  }

  void narrow(uint32_t cpu) const {
    Mask one(before_.size());
    one[cpu / kBitsPerWord] = uint64_t{1} << cpu % kBitsPerWord;
    base::check(sched_setaffinity(0, bytes(one), set_of(one)), "sched_setaffinity");
  }

 private:
  // The kernel's format: one bit per CPU, for more CPUs than any host has.
  using Mask = std::vector<uint64_t>;
  static constexpr uint32_t kMost = 8192;
  static constexpr uint32_t kBitsPerWord = 64;

  static size_t bytes(const Mask& mask) { return mask.size() * sizeof mask[0]; }
  static cpu_set_t* set_of(Mask& mask) { return reinterpret_cast<cpu_set_t*>(mask.data()); }

  Mask before_;
};

void require_cpus(const MachineConfig& config) {
  if (!config.pin) return;
  const Affinity ours;
  for (uint32_t vcpu = 0; vcpu < config.vcpus; ++vcpu) {
    const uint32_t cpu = config.pin->at(vcpu);
    if (ours.has(cpu)) continue;
    throw base::ConfigError("vCPU " + std::to_string(vcpu) + " can't be pinned to CPU " +
                            std::to_string(cpu) + ": the host has " + ours.text() +
                            " for this process; use those");
  }
}

}  // namespace

Life::Life(MachineConfig config)
    : finished_event_(base::check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      board_(std::move(config), *this, gate_, [this] { return stopping() || pausing(); }) {
  require_cpus(board_.config());
  create_vcpus();
}

Life::~Life() {
  stop();
  {
    // A vCPU that stops the machine signals the others: all must have finished before any is
    // joined.
    std::unique_lock lock(mutex_);
    finished_changed_.wait(lock, [this] { return finished_; });
  }
  for (const auto& vcpu : vcpus_) vcpu->join();
  board_.loop().stop();
}

void Life::create_vcpus() {
  board_.create_vcpus([this](uint32_t id) -> kvm::Vcpu& {
    auto thread = std::make_unique<VcpuThread>(board_.vm(), id, static_cast<RunControl&>(*this));
    vcpus_.push_back(std::move(thread));
    return vcpus_.back()->vcpu();
  });
  ring_ =
      std::make_unique<kvm::CoalescedRing>(vcpus_.front()->vcpu().coalesced_page(),
                                           [this](uint16_t port, std::span<const std::byte> data) {
                                             board_.buses().pio.write(port, data);
                                           });
}

void Life::start() {
  {
    const std::lock_guard lock(mutex_);
    assert(!started_);
    started_ = true;
    running_ = vcpus_.size();
  }
  drain_timer_ = std::make_unique<Timer>(board_.loop(), kDrainPeriod, [this] {
    if (!gate_.output_full()) ring_->drain();  // as in handle_exit()
    board_.flush_output();
  });
  started_ns_.store(monotonic_ns());
  const auto& pin = board_.config().pin;
  std::optional<Affinity> affinity;
  if (pin) affinity.emplace();
  for (const auto& vcpu : vcpus_) {
    try {
      // A new thread inherits the affinity of its creator.
      if (pin) affinity->narrow(pin->at(vcpu->vcpu().id()));
      vcpu->start();
    } catch (const std::system_error& error) {
      request_stop({StopReason::kVmmError, std::string("starting a vCPU thread: ") + error.what()});
      vcpu_finished();
    }
  }
}

std::optional<StopInfo> Life::wait(std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  finished_changed_.wait_for(lock, timeout, [this] { return finished_; });
  return finished_ ? stop_info_ : std::nullopt;
}

void Life::stop() { request_stop({StopReason::kStopped, "asked by the host"}); }

void Life::request_stop(StopInfo info) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_info_) return;
    stop_info_ = std::move(info);
    if (!started_) finish();
  }
  stopping_.store(true, std::memory_order_release);
  gate_.open_for_good();
  board_.suspend().abandon();
  kick_all();
}

void Life::pause() {
  size_t running = 0;
  {
    const std::lock_guard lock(mutex_);
    running = running_;
  }
  gate_.begin_pause();
  board_.suspend().stir();
  kick_all();
  if (gate_.wait_for_paused(running, kPauseTimeout)) return;
  gate_.end_pause();
  throw base::SystemError("pausing: a vCPU did not leave the guest", ETIMEDOUT);
}

// The vCPUs of a paused machine, which does nothing more; what they have written is on its way.
std::vector<kvm::Vcpu*> Life::held_vcpus(const char* what) {
  if (!paused()) throw base::ConfigError(std::string(what) + ": the machine is not paused");
  if (board_.suspend().wanted()) throw base::ConfigError(std::string(what) + ": it is asleep");
  ring_->drain();
  board_.flush_output();
  std::vector<kvm::Vcpu*> vcpus;
  for (const auto& vcpu : vcpus_) vcpus.push_back(&vcpu->vcpu());
  return vcpus;
}

void Life::checkpoint() { board_.checkpoint(held_vcpus("a checkpoint")); }

void Life::rewind() { board_.rewind(held_vcpus("a rewind")); }

void Life::kick_all() {
  for (const auto& vcpu : vcpus_) vcpu->kick();
}

void Life::wait_out_pause() {
  if (gate_.pausing()) {
    gate_.wait_out_pause();
  } else {
    board_.suspend().wait_out(gate_);
  }
}

void Life::vcpu_finished() {
  {
    const std::lock_guard lock(mutex_);
    if (--running_ != 0) return;
  }
  // A guest's last output matters most. This thread holds no lock and is the last vCPU's, so it may
  // wait.
  ring_->drain();
  board_.flush_output();
  board_.wait_output_sent(std::chrono::steady_clock::now() + kLastWords);
  const std::lock_guard lock(mutex_);
  finish();
}

void Life::finish() {
  finished_ = true;
  static_cast<void>(eventfd_write(finished_event_.get(), 1));
  finished_changed_.notify_all();
}

// While an output is full, only a vCPU that writes to one drains the ring, and it waits afterwards.
// So the ring fills up, which makes its writers exit, and no output grows without limit.
std::optional<StopInfo> Life::handle_exit(uint32_t vcpu, const kvm::Exit& exit) {
  if (!gate_.output_full() || Outputs::written_by(exit)) ring_->drain();
  auto stop = dispatch(exit, board_.buses(), board_.guest_events());
  exits_.record(vcpu, exit);
  return stop;
}

bool Life::must_wait(const kvm::Exit& exit) const {
  return gate_.output_full() && Outputs::written_by(exit);
}

std::vector<VcpuSnapshot> Life::snapshots() const {
  std::vector<VcpuSnapshot> all;
  for (const auto& vcpu : vcpus_) {
    if (vcpu->snapshot()) all.push_back(*vcpu->snapshot());
  }
  return all;
}

void Life::reset(std::string_view how) { request_stop({StopReason::kReset, std::string(how)}); }

void Life::debug_exit(uint32_t status) {
  request_stop({StopReason::kDebugExit, std::to_string(status)});
}

void Life::suspend() {
  board_.suspend().begin();
  kick_all();
}

void Life::wake() {
  try {
    board_.suspend().wake();
  } catch (const base::SystemError& error) {
    request_stop({StopReason::kVmmError, error.what()});
  }
}

void Life::guest_panicked() { request_stop({StopReason::kGuestPanic, "pvpanic, port 0x505"}); }

}  // namespace vmm::machine
