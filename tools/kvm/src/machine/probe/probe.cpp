// SPDX-License-Identifier: GPL-2.0-only
#include "machine/probe/probe.hpp"

#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>

#include "arch/x86_64/cpu_model.hpp"
#include "arch/x86_64/cpuid.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/page_tables.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/error.hpp"
#include "kvm/kvm.hpp"
#include "kvm/vm.hpp"
#include "machine/probe/probe_guest.hpp"
#include "machine/run/vcpu_thread.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::machine {
namespace {

using memory::GuestAddress;
namespace layout = arch::layout;

constexpr uint64_t kProbeMemory = 2 * layout::kMiB;

// A 64-bit interrupt gate (SDM vol. 3, 6.14.1).
struct Gate {
  uint64_t low;
  uint64_t high;
};

Gate interrupt_gate(uint64_t handler) {
  constexpr uint64_t kPresentInterruptGate = 0x8e00ULL << 32;
  return {(handler & 0xffff) | uint64_t{layout::kSelectorCode} << 16 | kPresentInterruptGate |
              (handler >> 16 & 0xffff) << 48,
          handler >> 32};
}

void write_guest(memory::GuestMemory& memory) {
  const ProbeGuest guest = probe_guest();
  arch::write_page_tables(memory);
  arch::write_gdt(memory);
  const auto put_gate = [&](uint8_t vector, uint64_t offset) {
    memory.write_object(GuestAddress{kProbeIdt + vector * sizeof(Gate)},
                        interrupt_gate(kProbeCode + offset));
  };
  put_gate(kBreakpointVector, guest.breakpoint_handler);
  put_gate(kTimerVector, guest.timer_handler);
  const bool written = memory.write(GuestAddress{kProbeCode}, guest.code);
  assert(written);
  static_cast<void>(written);
}

std::string step_name(uint8_t step) {
  if (step == kProbeStepLoop) return "a loop of a million instructions";
  if (step < kProbeSteps.size()) return std::string(kProbeSteps[step]);
  return "step " + std::to_string(step);
}

// The probe's machine: one vCPU, no devices. Follows the steps until the guest is done or an
// unexpected exit happens.
class ProbeRun : private RunControl {
 public:
  explicit ProbeRun(const kvm::Kvm& kvm) : memory_(kProbeMemory), vm_(kvm) {
    write_guest(memory_);
    vm_.set_reserved_pages(layout::kIdentityMapPage, layout::kTssPages);
    vm_.create_irqchip();
    vm_.add_memory(0, memory_.regions().front());
    thread_.emplace(vm_, 0, static_cast<RunControl&>(*this));
    kvm::Vcpu& vcpu = thread_->vcpu();
    const auto supported = kvm.supported_cpuid();
    auto cpuid = arch::guest_cpuid(supported, {0, 1}, {});
    arch::apply_cpu_model(cpuid, {});
    vcpu.set_cpuid(cpuid);
    arch::reset_processor(vcpu, arch::supported_xcr0(supported));
    arch::enter_long_mode(vcpu, kProbeCode);
    kvm::SystemRegisters system = vcpu.system_registers();
    system.idt = {kProbeIdt, 256 * sizeof(Gate) - 1};
    vcpu.set_system_registers(system);
  }

  // Returns an empty string when the guest has completed all steps.
  std::string run(std::chrono::milliseconds timeout) {
    thread_->start();
    {
      std::unique_lock lock(mutex_);
      const bool in_time = changed_.wait_for(lock, timeout, [this] { return stop_.has_value(); });
      if (!in_time) stop_ = "no end after " + std::to_string(timeout.count()) + " ms";
    }
    thread_->kick();
    thread_->join();
    if (done_) return "";
    return "a probe guest failed at " + step_name(step_) + ": " + *stop_;
  }

 private:
  bool stopping() const override {
    const std::lock_guard lock(mutex_);
    return stop_.has_value();
  }

  std::optional<StopInfo> handle_exit(uint32_t, const kvm::Exit& exit) override {
    if (const auto* io = std::get_if<kvm::Pio>(&exit)) {
      if (io->port == kProbePort && io->direction == kvm::Direction::kWrite) {
        return on_step(std::to_integer<uint8_t>(io->data[0]));
      }
    }
    if (std::holds_alternative<kvm::Interrupted>(exit)) return std::nullopt;
    if (const auto* error = std::get_if<kvm::InternalError>(&exit)) {
      return StopInfo{StopReason::kInternalError, "KVM_EXIT_INTERNAL_ERROR, " + error->detail};
    }
    return StopInfo{StopReason::kVmmError, "KVM exit " + std::string(kvm::name_of(exit))};
  }

  std::optional<StopInfo> on_step(uint8_t step) {
    if (step == kProbeDone) {
      done_ = true;
      return StopInfo{StopReason::kStopped, "done"};
    }
    step_ = step;
    return std::nullopt;
  }

  void request_stop(StopInfo info) override {
    const std::lock_guard lock(mutex_);
    if (!stop_) stop_ = std::move(info.detail);
    changed_.notify_all();
  }

  void vcpu_finished() override {}

  memory::GuestMemory memory_;
  kvm::Vm vm_;
  uint8_t step_ = 0;  // written by the vCPU's thread, read after join()
  bool done_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::string> stop_;
  std::optional<VcpuThread> thread_;
};

ProbeResult classify_open_error(const base::SystemError& error) {
  switch (error.error_number()) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return {ProbeState::kAbsent, std::string(error.what()) +
                                       "; load the module kvm_intel or kvm_amd, or enable "
                                       "virtualization in the firmware"};
    case EACCES:
    case EPERM:
      return {ProbeState::kDenied, std::string(error.what()) + "; join the group kvm"};
    default:
      return {ProbeState::kBroken, error.what()};
  }
}

}  // namespace

std::string_view name_of(ProbeState state) {
  switch (state) {
    case ProbeState::kAbsent:
      return "absent";
    case ProbeState::kDenied:
      return "denied";
    case ProbeState::kBroken:
      return "broken";
    case ProbeState::kUsable:
      return "usable";
  }
  return "broken";
}

ProbeResult probe(std::chrono::milliseconds timeout) {
  std::optional<kvm::Kvm> kvm;
  try {
    kvm.emplace();
  } catch (const base::SystemError& error) {
    return classify_open_error(error);
  } catch (const std::exception& error) {
    return {ProbeState::kBroken, error.what()};
  }
  try {
    const bool nested = arch::offers_nesting(kvm->supported_cpuid());
    const std::string failure = ProbeRun(*kvm).run(timeout);
    if (!failure.empty()) return {ProbeState::kBroken, failure, nested};
    return {ProbeState::kUsable, "a probe guest ran to its end", nested};
  } catch (const std::exception& error) {
    return {ProbeState::kBroken, error.what()};
  }
}

}  // namespace vmm::machine
