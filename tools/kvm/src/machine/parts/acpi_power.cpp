// SPDX-License-Identifier: GPL-2.0-only
#include "machine/parts/acpi_power.hpp"

#include <cassert>
#include <exception>
#include <memory>

#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/waking_vector.hpp"

namespace vmm::machine {

namespace layout = arch::layout;

AcpiPower::AcpiPower(devices::PowerControl& power, const memory::GuestMemory& memory,
                     base::EventLoop& loop, SetLine set_line, size_t vcpus)
    : power_(power),
      memory_(memory),
      set_line_(std::move(set_line)),
      suspend_(*this, vcpus),
      pm_(power, {layout::kSleepTypeSuspend, layout::kSleepTypeOff},
          [this](bool level) { set_line_(layout::kIrqSci, level); }),
      rtc_(*this),
      rtc_deadline_(loop, CLOCK_REALTIME, [this] { rtc_.expire(); }) {}

void AcpiPower::attach(bus::Bus& ports) {
  static_assert(layout::kPortPm1Control == layout::kPortPm1Event + devices::AcpiPm::kControlOffset);
  ports.attach(layout::kPortPm1Event, devices::AcpiPm::kSizeBytes, pm_, "acpi-pm");
  ports.attach(layout::kPortRtc, 2, rtc_, "rtc");
}

void AcpiPower::keep(kvm::Vm& vm, std::function<void()> reset_split_chip) {
  if (reset_split_chip) {
    reset_chips_ = std::move(reset_split_chip);
  } else {
    reset_chips_ = [&vm, state = std::make_shared<const kvm::ChipState>(vm)] {
      state->restore(vm);
    };
  }
}

void AcpiPower::keep(const kvm::Kvm& kvm, kvm::Vcpu& vcpu) {
  assert(vcpu.id() == processors_.size());
  processors_.push_back({vcpu, kvm::ProcessorState(kvm, vcpu)});
}

void AcpiPower::checkpoint() {
  pm_.checkpoint();
  rtc_.checkpoint();
}

void AcpiPower::rewind() {
  pm_.rewind();
  rtc_.rewind();
}

void AcpiPower::cut_power() {
  for (const Processor& processor : processors_) processor.state.restore(processor.vcpu);
  reset_chips_();
}

bool AcpiPower::restore_power() {
  const auto vector = arch::waking_vector(memory_, layout::kFacs);
  if (!vector) {
    why_lost_ = "ACPI wake-up without a waking vector in FACS";
    return false;
  }
  arch::enter_waking_vector(processors_.front().vcpu, *vector);
  pm_.woken();
  return true;
}

// A PC would boot again.
void AcpiPower::lost() { power_.reset(why_lost_); }

void AcpiPower::set_deadline(std::optional<devices::Rtc::Time> time) {
  rtc_deadline_.set(time ? std::optional(time->time_since_epoch()) : std::nullopt);
}

void AcpiPower::set_line(bool level) {
  if (!clock_replaced_.load()) set_line_(layout::kIrqRtc, level);
}

void AcpiPower::alarm() { pm_.rtc_alarm(); }

}  // namespace vmm::machine
