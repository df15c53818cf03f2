// SPDX-License-Identifier: GPL-2.0-only
//
// The output streams of a machine that must not lose a byte: the console, the agent's serial port
// and the guest's events. machine/ owns one, after the gate and the event loop; its functions may
// be called on any thread, and only wait_sent() waits.
#pragma once

#include <chrono>

#include "base/event_loop.hpp"
#include "kvm/exit.hpp"
#include "machine/run/gate.hpp"
#include "machine/streams/host_link.hpp"
#include "machine/streams/output_pipe.hpp"

namespace vmm::machine {

class Outputs {
 public:
  Outputs(base::EventLoop& loop, Gate& gate, const HostLink& console, const HostLink& serial_agent,
          const HostLink& events)
      : console(loop, console.duplicate_device_end(), &gate),
        serial_agent(loop, serial_agent.duplicate_device_end(), &gate),
        events(loop, events.duplicate_device_end(), &gate) {}

  // Whether an exit may have written to one of them.
  static bool written_by(const kvm::Exit& exit);

  void flush();
  // See OutputPipe.
  bool unsent() const;
  void wait_sent(std::chrono::steady_clock::time_point deadline);

  OutputPipe console;
  OutputPipe serial_agent;
  OutputPipe events;
};

}  // namespace vmm::machine
