// SPDX-License-Identifier: GPL-2.0-only
//
// The machine's sleep and wake-up: ACPI's registers, the CMOS clock whose alarm wakes it, the vCPUs
// that wait meanwhile, and the saved state to which processors and interrupt controllers return.
// Memory and devices keep their state. machine/ owns one, after the event loop and the buses; its
// devices call it on vCPU threads and the loop's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "devices/acpi_pm.hpp"
#include "devices/power_control.hpp"
#include "devices/rtc.hpp"
#include "kvm/processor_state.hpp"
#include "kvm/vcpu.hpp"
#include "kvm/vm.hpp"
#include "machine/parts/deadline.hpp"
#include "machine/run/dispatch.hpp"
#include "machine/run/suspend.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::machine {

class AcpiPower : private Suspend::Hardware, private devices::Rtc::Output {
 public:
  using SetLine = std::function<void(uint32_t gsi, bool level)>;

  AcpiPower(devices::PowerControl& power, const memory::GuestMemory& memory, base::EventLoop& loop,
            SetLine set_line, size_t vcpus);

  void attach(bus::Bus& ports);
  // Called while the machine is set up: save the present state of the interrupt controllers and of
  // each processor, in the order of ids, as the state after a wake-up.
  void keep(kvm::Vm& vm, std::function<void()> reset_split_chip);
  void keep(const kvm::Kvm& kvm, kvm::Vcpu& vcpu);

  // Sets whether an HPET replaces the CMOS clock, whose alarm then raises no interrupts. Any
  // thread.
  void replace_clock(bool replaced) { clock_replaced_.store(replaced); }

  // The registers' part of a rewind, while the machine is awake.
  void checkpoint();
  void rewind();

  Suspend& suspend() { return suspend_; }
  const Suspend& suspend() const { return suspend_; }

 private:
  struct Processor {
    kvm::Vcpu& vcpu;
    kvm::ProcessorState state;
  };

  // Suspend::Hardware
  void cut_power() override;
  bool restore_power() override;
  void lost() override;

  // devices::Rtc::Output
  void set_deadline(std::optional<devices::Rtc::Time> time) override;
  void set_line(bool level) override;
  void alarm() override;

  devices::PowerControl& power_;
  const memory::GuestMemory& memory_;
  const SetLine set_line_;
  Suspend suspend_;
  devices::AcpiPm pm_;
  devices::Rtc rtc_;
  Deadline rtc_deadline_;
  std::function<void()> reset_chips_;
  std::vector<Processor> processors_;
  std::string why_lost_;
  std::atomic<bool> clock_replaced_{false};
};

}  // namespace vmm::machine
