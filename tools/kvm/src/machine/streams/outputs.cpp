// SPDX-License-Identifier: GPL-2.0-only
#include "machine/streams/outputs.hpp"

#include "arch/x86_64/layout.hpp"
#include "devices/guest_events.hpp"

namespace vmm::machine {

namespace layout = arch::layout;

bool Outputs::written_by(const kvm::Exit& exit) {
  const auto* io = std::get_if<kvm::Pio>(&exit);
  if (io == nullptr) return std::holds_alternative<kvm::Hypercall>(exit);
  const auto uart = static_cast<uint16_t>(io->port & ~7);  // a UART has eight registers
  return uart == layout::kPortCom1 || uart == layout::kPortCom2 || io->port == layout::kPortDebug ||
         io->port == devices::GuestEvents::port();
}

void Outputs::flush() {
  console.flush();
  serial_agent.flush();
  events.flush();
}

bool Outputs::unsent() const {
  return console.unsent() || serial_agent.unsent() || events.unsent();
}

void Outputs::wait_sent(std::chrono::steady_clock::time_point deadline) {
  console.wait_sent(deadline);
  serial_agent.wait_sent(deadline);
  events.wait_sent(deadline);
}

}  // namespace vmm::machine
