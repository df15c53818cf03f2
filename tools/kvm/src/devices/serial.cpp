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
  return loopback() ? 0 : kReceiveCapacity - received_.size();
}

void Serial::receive(std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  for (const std::byte byte : bytes) {
    // The guest may have used up the room since receive_space(), by writing in loopback mode.
    if (received_.size() == kReceiveCapacity) break;
    received_.push_back({std::to_integer<uint8_t>(byte), false});
  }
  raise_if_pending();
}

void Serial::receive_break() {
  const std::lock_guard lock(mutex_);
  if (loopback() || received_.size() == kReceiveCapacity) return;
  received_.push_back({0, true});
  raise_if_pending();
}

void Serial::output_ready() {
  const std::lock_guard lock(mutex_);
  transmitter_empty_event_ = true;
  raise_if_pending();
}

void Serial::read(uint64_t offset, std::span<std::byte> data) {
  // The chip is 8 bits wide; the upper bytes of a wider access read as ones.
  std::fill(data.begin(), data.end(), std::byte{0xff});
  bool made_room = false;
  {
    const std::lock_guard lock(mutex_);
    const bool was_full = received_.size() == kReceiveCapacity;
    data[0] = std::byte{read_register(offset)};
    // Waiting for an empty queue batches the refill.
    made_room = offset == UART_RX && !divisor_latch() && (was_full || received_.empty());
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

bool Serial::divisor_latch() const { return (line_control_ & UART_LCR_DLAB) != 0; }

bool Serial::loopback() const { return (modem_control_ & UART_MCR_LOOP) != 0; }

uint8_t Serial::read_register(uint64_t offset) {
  switch (offset) {
    case UART_RX:
      return divisor_latch() ? divisor_low_ : take_received();
    case UART_IER:
      return divisor_latch() ? divisor_high_ : interrupt_enable_;
    case UART_IIR:
      return identify_interrupt();
    case UART_LCR:
      return line_control_;
    case UART_MCR:
      return modem_control_;
    case UART_LSR:
      return line_status();
    case UART_MSR:
      return modem_status();
    case UART_SCR:
      return scratch_;
    default:
      return 0xff;
  }
}

void Serial::write_register(uint64_t offset, uint8_t value) {
  switch (offset) {
    case UART_TX:
      if (divisor_latch()) {
        divisor_low_ = value;
      } else {
        write_data(value);
      }
      break;
    case UART_IER:
      if (divisor_latch()) {
        divisor_high_ = value;
      } else {
        write_interrupt_enable(value);
      }
      break;
    case UART_FCR:
      write_fifo_control(value);
      break;
    case UART_LCR:
      line_control_ = value;
      break;
    case UART_MCR:
      modem_control_ = value & kMcrImplemented;
      break;
    case UART_SCR:
      scratch_ = value;
      break;
    default:  // LSR and MSR are read-only
      break;
  }
}

void Serial::write_data(uint8_t value) {
  if (loopback()) {
    if (received_.size() < kReceiveCapacity) received_.push_back({value, false});
  } else {
    const std::byte byte{value};
    output_.write(std::span(&byte, 1));
  }
  transmitter_empty_event_ = output_.ready();
  raise_if_pending();
}

void Serial::write_fifo_control(uint8_t value) {
  fifos_enabled_ = (value & UART_FCR_ENABLE_FIFO) != 0;
  if ((value & UART_FCR_CLEAR_RCVR) != 0) received_.clear();
}

void Serial::write_interrupt_enable(uint8_t value) {
  const uint8_t before = interrupt_enable_;
  interrupt_enable_ = value & kIerImplemented;
  const bool wanted = (before & UART_IER_THRI) != 0;
  const bool wants = (interrupt_enable_ & UART_IER_THRI) != 0;
  // Enabling the interrupt while the transmitter is empty raises it at once: 8250 drivers start
  // every transmission this way, and serial8250_do_startup() tests for chips that don't.
  if (wants && !wanted) transmitter_empty_event_ = output_.ready();
  if (wanted && !wants) output_.flush();
  raise_if_pending();
}

uint8_t Serial::take_received() {
  if (received_.empty()) return 0;
  const uint8_t value = received_.front().value;
  received_.pop_front();
  return value;
}

uint8_t Serial::line_status() const {
  uint8_t next = 0;
  if (!received_.empty())
    next = received_.front().is_break ? UART_LSR_DR | UART_LSR_BI : UART_LSR_DR;
  return output_.ready() ? UART_LSR_THRE | UART_LSR_TEMT | next : next;
}

uint8_t Serial::modem_status() const {
  if (!loopback()) return kMsrConnected;
  // Loopback connects the outputs to the inputs, such as RTS to CTS.
  uint8_t status = 0;
  if ((modem_control_ & UART_MCR_RTS) != 0) status |= UART_MSR_CTS;
  if ((modem_control_ & UART_MCR_DTR) != 0) status |= UART_MSR_DSR;
  if ((modem_control_ & UART_MCR_OUT1) != 0) status |= UART_MSR_RI;
  if ((modem_control_ & UART_MCR_OUT2) != 0) status |= UART_MSR_DCD;
  return status;
}

uint8_t Serial::pending_interrupt() const {
  if ((interrupt_enable_ & UART_IER_RDI) != 0 && !received_.empty()) return UART_IIR_RDI;
  if ((interrupt_enable_ & UART_IER_THRI) != 0 && transmitter_empty_event_) return UART_IIR_THRI;
  return UART_IIR_NO_INT;
}

uint8_t Serial::identify_interrupt() {
  const uint8_t pending = pending_interrupt();
  if (pending == UART_IIR_THRI) transmitter_empty_event_ = false;
  return pending | (fifos_enabled_ ? kIirFifosEnabled : 0);
}

void Serial::raise_if_pending() {
  // ISA lines are edge-triggered, so each new cause pulses; a driver that is already in its
  // handler reads IIR until nothing is left. Without OUT2 a PC's line is disconnected, but Linux
  // drives ports with and without it.
  if (pending_interrupt() != UART_IIR_NO_INT) interrupt_.raise();
}

}  // namespace vmm::devices
