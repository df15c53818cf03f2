// SPDX-License-Identifier: GPL-2.0-only
//
// Handles one exit: the bridge from KVM's exit reasons to the devices on the buses. A free
// function, called on the vCPU's thread for every exit, and by tests with synthetic exits.
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
  devices::IoApic* io_apic = nullptr;  // only with a split irqchip
};

// Returns a StopInfo when the machine must stop; nothing when the vCPU should re-enter the guest.
std::optional<StopInfo> dispatch(const kvm::Exit& exit, Buses& buses, devices::GuestEvents& events);

}  // namespace vmm::machine
