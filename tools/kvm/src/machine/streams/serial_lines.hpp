// SPDX-License-Identifier: GPL-2.0-only
//
// The serial ports that a machine's user has (a share of COM1; COM3 and COM4 exclusively), each
// with a byte stream to the host. machine/ owns them, after the VM, the buses and the event loop;
// bytes go out on vCPU threads and come in on the loop's. An unread stream does not block anything
// else.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/event_loop.hpp"
#include "bus/bus.hpp"
#include "devices/byte_sink.hpp"
#include "devices/serial.hpp"
#include "kvm/vm.hpp"
#include "machine/interrupts/irq_line.hpp"
#include "machine/streams/host_link.hpp"
#include "machine/streams/output_pipe.hpp"
#include "machine/streams/serial_input.hpp"

namespace vmm::machine {

// Passes a device's output to two sinks, the first of which decides ready().
class Tee final : public devices::ByteSink {
 public:
  Tee(devices::ByteSink& first, devices::ByteSink& second) : first_(first), second_(second) {}

  void write(std::span<const std::byte> bytes) override {
    first_.write(bytes);
    second_.write(bytes);
  }
  void flush() override {
    first_.flush();
    second_.flush();
  }
  bool ready() const override { return first_.ready(); }

 private:
  devices::ByteSink& first_;
  devices::ByteSink& second_;
};

class SerialLines {
 public:
  // `numbers` are as in Linux's ttyS*: 0, 2 or 3, each at most once.
  SerialLines(const std::vector<uint32_t>& numbers, base::EventLoop& loop);

  // Puts COM3 and COM4 on the bus, if configured.
  void attach(kvm::Vm& vm, bus::Bus& ports, base::EventLoop& loop);

  // The sink for COM1: `console`, and also the user's stream if there is one.
  devices::ByteSink& com1_output(devices::ByteSink& console);
  void feed_com1(devices::Serial& com1, base::EventLoop& loop);

  // The host's ends, by number.
  std::map<uint32_t, int> host_ends() const;

  void flush();
  // See OutputPipe.
  bool unsent() const;
  void wait_sent(std::chrono::steady_clock::time_point deadline);

 private:
  struct Stream {
    explicit Stream(base::EventLoop& loop) : output(loop, link.duplicate_device_end(), nullptr) {}

    HostLink link;
    OutputPipe output;
    std::unique_ptr<Tee> tee;               // COM1 only
    std::unique_ptr<IrqLine> line;          // COM3 and COM4 only
    std::unique_ptr<devices::Serial> port;  // COM3 and COM4 only
    std::unique_ptr<SerialInput> input;
  };
  std::map<uint32_t, std::unique_ptr<Stream>> streams_;
};

}  // namespace vmm::machine
