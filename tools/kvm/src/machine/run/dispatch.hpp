// SPDX-License-Identifier: GPL-2.0-only
//
// What to do about one exit: the bridge from KVM's reasons to the devices on the buses. A free
// function, called on the vCPU's thread for every exit, and by tests with made-up exits.
#pragma once

#include <optional>

#include "bus/bus.hpp"
#include "devices/guest_events.hpp"
#include "devices/io_apic.hpp"
#include "kvm/exit.hpp"
#include "machine/run/stop.hpp"

namespace vmm::machine {

struct Buses {
  bus::Bus pio;
  bus::Bus mmio;
  devices::IoApic* io_apic = nullptr;  // of a machine with a split irqchip
};

// A StopInfo when the machine cannot go on; nothing when the guest is to be re-entered.
std::optional<StopInfo> dispatch(const kvm::Exit& exit, Buses& buses, devices::GuestEvents& events);

}  // namespace vmm::machine
