// SPDX-License-Identifier: GPL-2.0-only
#include "machine/streams/serial_lines.hpp"

#include <algorithm>

#include "arch/x86_64/layout.hpp"

namespace vmm::machine {
namespace {

namespace layout = arch::layout;

constexpr uint64_t kPorts = 8;

}  // namespace

SerialLines::SerialLines(const std::vector<uint32_t>& numbers, base::EventLoop& loop) {
  for (const uint32_t number : numbers) streams_.emplace(number, std::make_unique<Stream>(loop));
}

void SerialLines::attach(kvm::Vm& vm, bus::Bus& ports, base::EventLoop& loop) {
  for (auto& [number, stream] : streams_) {
    if (number == 0) continue;
    const bool third = number == 2;
    // The usual ports of a PC; they share the interrupts of COM1 and COM2
    // (arch/x86/include/asm/serial.h).
    stream->line = std::make_unique<IrqLine>(vm, third ? layout::kIrqCom1 : layout::kIrqCom2);
    stream->port = std::make_unique<devices::Serial>(stream->output, *stream->line);
    stream->output.on_ready([port = stream->port.get()] { port->output_ready(); });
    ports.attach(third ? layout::kPortCom3 : layout::kPortCom4, kPorts, *stream->port,
                 third ? "com3" : "com4");
    stream->input =
        std::make_unique<SerialInput>(loop, stream->link.device_end.get(), *stream->port);
  }
}

devices::ByteSink& SerialLines::com1_output(devices::ByteSink& console) {
  const auto found = streams_.find(0);
  if (found == streams_.end()) return console;
  Stream& stream = *found->second;
  stream.tee = std::make_unique<Tee>(console, stream.output);
  return *stream.tee;
}

void SerialLines::feed_com1(devices::Serial& com1, base::EventLoop& loop) {
  const auto found = streams_.find(0);
  if (found == streams_.end()) return;
  Stream& stream = *found->second;
  stream.input = std::make_unique<SerialInput>(loop, stream.link.device_end.get(), com1);
}

std::map<uint32_t, int> SerialLines::host_ends() const {
  std::map<uint32_t, int> ends;
  for (const auto& [number, stream] : streams_) ends.emplace(number, stream->link.host_end.get());
  return ends;
}

void SerialLines::flush() {
  for (auto& [number, stream] : streams_) stream->output.flush();
}

bool SerialLines::unsent() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto& line) { return line.second->output.unsent(); });
}

void SerialLines::wait_sent(std::chrono::steady_clock::time_point deadline) {
  for (auto& [number, stream] : streams_) stream->output.wait_sent(deadline);
}

}  // namespace vmm::machine
