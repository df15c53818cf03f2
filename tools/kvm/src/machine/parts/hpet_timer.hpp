// SPDX-License-Identifier: GPL-2.0-only
//
// The HPET at its address, driven by the host's monotonic clock. Owned by machine/, after the buses
// and the event loop, in a payload's machine only: a Linux guest with kvmclock and a TSC deadline
// timer does not need it, but would read it while it boots, with an exit for each read.
#pragma once

#include <chrono>
#include <ctime>
#include <functional>
#include <optional>

#include "arch/x86_64/layout.hpp"
#include "devices/hpet.hpp"
#include "machine/parts/deadline.hpp"
#include "machine/run/dispatch.hpp"

namespace vmm::machine {

class HpetTimer : private devices::Hpet::Output {
 public:
  using SetLine = std::function<void(uint32_t gsi, bool level)>;
  using ReplaceLegacy = std::function<void(bool replaced)>;

  HpetTimer(Buses& buses, base::EventLoop& loop, SetLine set_line, ReplaceLegacy replace_legacy)
      : set_line_(std::move(set_line)),
        replace_legacy_(std::move(replace_legacy)),
        hpet_(*this, {arch::layout::kIrqTimer, arch::layout::kIrqRtc},
              [] { return std::chrono::steady_clock::now().time_since_epoch(); }),
        deadline_(loop, CLOCK_MONOTONIC, [this] { hpet_.expire(); }) {
    buses.mmio.attach(arch::layout::kHpet, devices::Hpet::kSizeBytes, hpet_, "hpet");
  }

 private:
  void set_deadline(std::optional<std::chrono::nanoseconds> time) override { deadline_.set(time); }
  void set_line(uint32_t gsi, bool level) override { set_line_(gsi, level); }
  void replace_legacy(bool replaced) override { replace_legacy_(replaced); }

  const SetLine set_line_;
  const ReplaceLegacy replace_legacy_;
  devices::Hpet hpet_;
  Deadline deadline_;
};

}  // namespace vmm::machine
