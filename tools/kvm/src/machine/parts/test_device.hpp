// SPDX-License-Identifier: GPL-2.0-only
//
// All parts of kvm-unit-tests' test device, at their addresses on the buses. Owned by machine/, in
// a payload's machine only, after the buses and the memory.
#pragma once

#include <utility>

#include "arch/x86_64/layout.hpp"
#include "devices/test_device.hpp"
#include "machine/run/dispatch.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::machine {

class TestDevice {
 public:
  TestDevice(Buses& buses, memory::GuestMemory& memory, devices::TestIrqLines::SetLine set_line)
      : irq_lines_(std::move(set_line)), flush_(memory) {
    namespace layout = arch::layout;
    buses.pio.attach(layout::kPortTestLatch, latch_.kSizeBytes, latch_, "test-latch");
    buses.pio.attach(layout::kPortTestByteLatch, latch_.kSizeBytes, latch_, "test-byte-latch");
    buses.pio.attach(layout::kPortTestFlush, flush_.kSizeBytes, flush_, "test-flush");
    buses.pio.attach(layout::kPortTestIrq, irq_lines_.kSizeBytes, irq_lines_, "test-irq");
    buses.mmio.attach(layout::kTestRam, ram_.kSizeBytes, ram_, "test-ram");
  }

 private:
  devices::TestLatch latch_;
  devices::TestIrqLines irq_lines_;
  devices::TestFlushPage flush_;
  devices::TestRam ram_;
};

}  // namespace vmm::machine
