// SPDX-License-Identifier: GPL-2.0-only
//
// For Linux's probing see drivers/tty/serial/8250/8250_port.c: autoconfig(), autoconfig_16550a()
// and serial8250_do_startup().
#include "devices/serial.hpp"

#include <algorithm>

#include "devices/serial_regs.hpp"

namespace vmm::devices {

using namespace serial_regs;

Serial::Serial(ByteSink& output, base::InterruptLine& interrupt)
    : output_(output), interrupt_(interrupt) {}

size_t Serial::receive_space() const {
  const std::lock_guard lock(mutex_);
  // In loopback mode the line is cut.
  return loopback() ? 0 : kReceiveCapacity - state_.received.size();
}

void Serial::receive(std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  for (const std::byte byte : bytes) {
    // The guest may have used up the room since receive_space(), by writing in loopback mode.
    if (state_.received.size() == kReceiveCapacity) break;
    state_.received.push_back({std::to_integer<uint8_t>(byte), false});
  }
  raise_if_pending();
}

void Serial::receive_break() {
  const std::lock_guard lock(mutex_);
  if (loopback() || state_.received.size() == kReceiveCapacity) return;
  state_.received.push_back({0, true});
  raise_if_pending();
}

void Serial::output_ready() {
  const std::lock_guard lock(mutex_);
  state_.transmitter_empty_event = true;
  raise_if_pending();
}

void Serial::checkpoint() {
  const std::lock_guard lock(mutex_);
  kept_ = state_;
}

void Serial::rewind() {
  const std::lock_guard lock(mutex_);
  state_ = kept_;
}

void Serial::read(uint64_t offset, std::span<std::byte> data) {
  // The chip is 8 bits wide; the upper bytes of a wider access read as ones.
  std::fill(data.begin(), data.end(), std::byte{0xff});
  bool made_room = false;
  {
    const std::lock_guard lock(mutex_);
    const bool was_full = state_.received.size() == kReceiveCapacity;
    data[0] = std::byte{read_register(offset)};
    // Waiting for an empty queue batches the refill.
    made_room = offset == UART_RX && !divisor_latch() && (was_full || state_.received.empty());
  }
  if (made_room && receive_space_) receive_space_();
}

void Serial::write(uint64_t offset, std::span<const std::byte> data) {
  bool made_room = false;
  {
    const std::lock_guard lock(mutex_);
    write_register(offset, std::to_integer<uint8_t>(data[0]));
    made_room = offset == UART_FCR || offset == UART_MCR;
  }
  if (made_room && receive_space_) receive_space_();
}

bool Serial::divisor_latch() const { return (state_.line_control & UART_LCR_DLAB) != 0; }

bool Serial::loopback() const { return (state_.modem_control & UART_MCR_LOOP) != 0; }

uint8_t Serial::read_register(uint64_t offset) {
  switch (offset) {
    case UART_RX:
      return divisor_latch() ? state_.divisor_low : take_received();
    case UART_IER:
      return divisor_latch() ? state_.divisor_high : state_.interrupt_enable;
    case UART_IIR:
      return identify_interrupt();
    case UART_LCR:
      return state_.line_control;
    case UART_MCR:
      return state_.modem_control;
    case UART_LSR:
      return line_status();
    case UART_MSR:
      return modem_status();
    case UART_SCR:
      return state_.scratch;
    default:
      return 0xff;
  }
}

void Serial::write_register(uint64_t offset, uint8_t value) {
  switch (offset) {
    case UART_TX:
      if (divisor_latch()) {
        state_.divisor_low = value;
      } else {
        write_data(value);
      }
      break;
    case UART_IER:
      if (divisor_latch()) {
        state_.divisor_high = value;
      } else {
        write_interrupt_enable(value);
      }
      break;
    case UART_FCR:
      write_fifo_control(value);
      break;
    case UART_LCR:
      state_.line_control = value;
      break;
    case UART_MCR:
      state_.modem_control = value & kMcrImplemented;
      break;
    case UART_SCR:
      state_.scratch = value;
      break;
    default:  // LSR and MSR are read-only
      break;
  }
}

void Serial::write_data(uint8_t value) {
  if (loopback()) {
    if (state_.received.size() < kReceiveCapacity) state_.received.push_back({value, false});
  } else {
    const std::byte byte{value};
    output_.write(std::span(&byte, 1));
  }
  state_.transmitter_empty_event = output_.ready();
  raise_if_pending();
}

void Serial::write_fifo_control(uint8_t value) {
  state_.fifos_enabled = (value & UART_FCR_ENABLE_FIFO) != 0;
  if ((value & UART_FCR_CLEAR_RCVR) != 0) state_.received.clear();
}

void Serial::write_interrupt_enable(uint8_t value) {
  const uint8_t before = state_.interrupt_enable;
  state_.interrupt_enable = value & kIerImplemented;
  const bool wanted = (before & UART_IER_THRI) != 0;
  const bool wants = (state_.interrupt_enable & UART_IER_THRI) != 0;
  // Enabling the interrupt while the transmitter is empty raises it at once: 8250 drivers start
  // every transmission this way, and serial8250_do_startup() tests for chips that don't.
  if (wants && !wanted) state_.transmitter_empty_event = output_.ready();
  if (wanted && !wants) output_.flush();
  raise_if_pending();
}

uint8_t Serial::take_received() {
  if (state_.received.empty()) return 0;
  const uint8_t value = state_.received.front().value;
  state_.received.pop_front();
  return value;
}

uint8_t Serial::line_status() const {
  uint8_t next = 0;
  if (!state_.received.empty())
    next = state_.received.front().is_break ? UART_LSR_DR | UART_LSR_BI : UART_LSR_DR;
  return output_.ready() ? UART_LSR_THRE | UART_LSR_TEMT | next : next;
}

uint8_t Serial::modem_status() const {
  if (!loopback()) return kMsrConnected;
  // Loopback connects the outputs to the inputs, such as RTS to CTS.
  uint8_t status = 0;
  if ((state_.modem_control & UART_MCR_RTS) != 0) status |= UART_MSR_CTS;
  if ((state_.modem_control & UART_MCR_DTR) != 0) status |= UART_MSR_DSR;
  if ((state_.modem_control & UART_MCR_OUT1) != 0) status |= UART_MSR_RI;
  if ((state_.modem_control & UART_MCR_OUT2) != 0) status |= UART_MSR_DCD;
  return status;
}

uint8_t Serial::pending_interrupt() const {
  if ((state_.interrupt_enable & UART_IER_RDI) != 0 && !state_.received.empty())
    return UART_IIR_RDI;
  if ((state_.interrupt_enable & UART_IER_THRI) != 0 && state_.transmitter_empty_event)
    return UART_IIR_THRI;
  return UART_IIR_NO_INT;
}

uint8_t Serial::identify_interrupt() {
  const uint8_t pending = pending_interrupt();
  if (pending == UART_IIR_THRI) state_.transmitter_empty_event = false;
  return pending | (state_.fifos_enabled ? kIirFifosEnabled : 0);
}

void Serial::raise_if_pending() {
  // ISA lines are edge-triggered, so each new cause pulses; a driver that is already in its
  // handler reads IIR until nothing is left. Without OUT2 a PC's line is disconnected, but Linux
  // drives ports with and without it.
  if (pending_interrupt() != UART_IIR_NO_INT) interrupt_.raise();
}

}  // namespace vmm::devices
