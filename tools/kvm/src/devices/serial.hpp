// SPDX-License-Identifier: GPL-2.0-only
//
// A 16550A serial port, complete enough for Linux's 8250 autoconfiguration. Output is instant: the
// transmitter is empty whenever the sink is ready. machine/ owns the ports of a machine (COM1 for
// the console, COM2 for the agent, COM3 and COM4 for the user); register accesses come on vCPU
// threads, receive() and output_ready() on the event loop's, receive_break() on any. None of them
// waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>

#include "base/interrupt.hpp"
#include "bus/device.hpp"
#include "devices/byte_sink.hpp"

namespace vmm::devices {

class Serial : public bus::Device {
 public:
  // Larger than the chip's 16 bytes, so that a slow reader costs fewer round trips.
  static constexpr size_t kReceiveCapacity = 256;

  Serial(ByteSink& output, base::InterruptLine& interrupt);

  // Called without any lock of this device, on the vCPU thread that made room.
  void on_receive_space(std::function<void()> callback) { receive_space_ = std::move(callback); }

  // The number of bytes that receive() would accept now.
  size_t receive_space() const;

  // Takes bytes from the host; bytes beyond receive_space() are lost, as on a real line.
  void receive(std::span<const std::byte> bytes);
  // Takes a break: a zero byte that the line status marks as a break.
  void receive_break();

  // The sink has become ready again.
  void output_ready();

  // Keeps all registers and the bytes that the guest has not read, and brings them back.
  void checkpoint();
  void rewind();

  size_t widest_access() const override { return 1; }
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

 private:
  uint8_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint8_t value);
  void write_data(uint8_t value);
  void write_fifo_control(uint8_t value);
  void write_interrupt_enable(uint8_t value);
  uint8_t take_received();
  uint8_t line_status() const;
  uint8_t modem_status() const;
  uint8_t identify_interrupt();
  uint8_t pending_interrupt() const;
  void raise_if_pending();
  bool divisor_latch() const;
  bool loopback() const;

  ByteSink& output_;
  base::InterruptLine& interrupt_;
  std::function<void()> receive_space_;

  struct Received {
    uint8_t value;
    bool is_break;
  };
  struct State {
    std::deque<Received> received;
    bool transmitter_empty_event = false;
    bool fifos_enabled = false;
    uint8_t interrupt_enable = 0;
    uint8_t line_control = 0;
    uint8_t modem_control = 0;
    uint8_t scratch = 0;
    uint8_t divisor_low = 12;  // 9600 baud
    uint8_t divisor_high = 0;
  };

  mutable std::mutex mutex_;  // guards the members below
  State state_;
  State kept_;  // at the checkpoint
};

}  // namespace vmm::devices
