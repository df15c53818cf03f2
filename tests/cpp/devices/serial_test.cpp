// SPDX-License-Identifier: GPL-2.0-only
#include "devices/serial.hpp"

#include <doctest/doctest.h>

#include "bus/bus.hpp"
#include "devices/serial_regs.hpp"
#include "recorders.hpp"

namespace vmm::devices {
namespace {

using test::in8;
using test::out8;

struct Fixture {
  test::RecordingSink sink;
  test::CountingLine line;
  Serial port{sink, line};

  void receive(std::string_view text) { port.receive(std::as_bytes(std::span(text))); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "Linux's autoconfig finds a 16550A") {
  // The steps of autoconfig() and size_fifo() in drivers/tty/serial/8250/8250_port.c.
  out8(port, UART_IER, 0);
  CHECK(in8(port, UART_IER) == 0);
  out8(port, UART_IER, 0x0f);
  CHECK((in8(port, UART_IER) & 0x0f) == 0x0f);
  out8(port, UART_IER, 0);

  out8(port, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
  CHECK((in8(port, UART_MSR) & 0xf0) == (UART_MSR_DCD | UART_MSR_CTS));
  out8(port, UART_MCR, 0);

  out8(port, UART_FCR, UART_FCR_ENABLE_FIFO);
  CHECK((in8(port, UART_IIR) >> 6) == 3);
  CHECK((in8(port, UART_IIR) & 0x20) == 0);  // not a 16750
  out8(port, UART_FCR, 0);
  CHECK((in8(port, UART_IIR) >> 6) == 0);

  out8(port, UART_SCR, 0xa5);
  CHECK(in8(port, UART_SCR) == 0xa5);
  out8(port, UART_IER, UART_IER_UUE);  // would be an XScale
  CHECK(in8(port, UART_IER) == 0);
}

TEST_CASE_FIXTURE(Fixture, "the divisor latch hides data and interrupt enable") {
  out8(port, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
  out8(port, UART_DLL, 0x34);
  out8(port, UART_DLM, 0x12);
  CHECK(in8(port, UART_DLL) == 0x34);
  CHECK(in8(port, UART_DLM) == 0x12);
  CHECK(sink.text.empty());
  out8(port, UART_LCR, UART_LCR_WLEN8);
  CHECK(in8(port, UART_IER) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a break is a zero byte that the line status calls one, in its place") {
  out8(port, UART_IER, UART_IER_RDI);
  receive("a");
  port.receive_break();
  receive("h");
  CHECK(line.pulses == 3);
  CHECK((in8(port, UART_LSR) & (UART_LSR_DR | UART_LSR_BI)) == UART_LSR_DR);
  CHECK(in8(port, UART_RX) == 'a');
  CHECK((in8(port, UART_LSR) & (UART_LSR_DR | UART_LSR_BI)) == (UART_LSR_DR | UART_LSR_BI));
  CHECK(in8(port, UART_RX) == 0);
  CHECK((in8(port, UART_LSR) & (UART_LSR_DR | UART_LSR_BI)) == UART_LSR_DR);
  CHECK(in8(port, UART_RX) == 'h');
  CHECK((in8(port, UART_LSR) & (UART_LSR_DR | UART_LSR_BI)) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a sink that is not ready is a transmitter that is not empty") {
  constexpr uint8_t kEmpty = UART_LSR_THRE | UART_LSR_TEMT;
  out8(port, UART_IER, UART_IER_THRI);
  CHECK(in8(port, UART_IIR) == UART_IIR_THRI);
  sink.busy = true;
  CHECK((in8(port, UART_LSR) & kEmpty) == 0);
  out8(port, UART_TX, 'x');  // the sink decides what happens to it
  CHECK(sink.text == "x");
  CHECK(in8(port, UART_IIR) == UART_IIR_NO_INT);
  out8(port, UART_IER, 0);
  out8(port, UART_IER, UART_IER_THRI);
  CHECK(in8(port, UART_IIR) == UART_IIR_NO_INT);
  const int before = line.pulses;
  sink.busy = false;
  port.output_ready();
  CHECK(line.pulses == before + 1);
  CHECK(in8(port, UART_IIR) == UART_IIR_THRI);
  CHECK((in8(port, UART_LSR) & kEmpty) == kEmpty);
}

TEST_CASE_FIXTURE(Fixture, "written bytes come out at once and the transmitter stays ready") {
  for (const char c : std::string("hello\n")) out8(port, UART_TX, static_cast<uint8_t>(c));
  CHECK(sink.text == "hello\n");
  CHECK((in8(port, UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT)) == (UART_LSR_THRE | UART_LSR_TEMT));
  CHECK(line.pulses == 0);
}

TEST_CASE_FIXTURE(Fixture, "enabling the transmit interrupt raises it, reading IIR clears it") {
  out8(port, UART_IER, UART_IER_THRI);
  CHECK(line.pulses == 1);
  CHECK(in8(port, UART_IIR) == UART_IIR_THRI);
  CHECK(in8(port, UART_IIR) == UART_IIR_NO_INT);
  // serial8250_do_startup() expects it again after a round trip of the enable bit.
  out8(port, UART_IER, 0);
  out8(port, UART_IER, UART_IER_THRI);
  CHECK(line.pulses == 2);
  CHECK(in8(port, UART_IIR) == UART_IIR_THRI);
}

TEST_CASE_FIXTURE(Fixture, "each byte sent raises the transmit interrupt while it is enabled") {
  out8(port, UART_IER, UART_IER_THRI);
  in8(port, UART_IIR);
  out8(port, UART_TX, 'x');
  CHECK(line.pulses == 2);
  CHECK(in8(port, UART_IIR) == UART_IIR_THRI);
}

TEST_CASE_FIXTURE(Fixture, "the end of a transmission flushes the output") {
  out8(port, UART_IER, UART_IER_THRI);
  CHECK(sink.flushes == 0);
  out8(port, UART_IER, 0);
  CHECK(sink.flushes == 1);
}

TEST_CASE_FIXTURE(Fixture, "received bytes raise an interrupt that lasts until all are read") {
  out8(port, UART_FCR, UART_FCR_ENABLE_FIFO);
  out8(port, UART_IER, UART_IER_RDI);
  receive("ab");
  CHECK(line.pulses == 1);
  CHECK((in8(port, UART_IIR) & UART_IIR_ID) == UART_IIR_RDI);
  CHECK((in8(port, UART_LSR) & UART_LSR_DR) != 0);
  CHECK(in8(port, UART_RX) == 'a');
  CHECK((in8(port, UART_IIR) & UART_IIR_ID) == UART_IIR_RDI);
  CHECK(in8(port, UART_RX) == 'b');
  CHECK((in8(port, UART_IIR) & UART_IIR_NO_INT) != 0);
  CHECK((in8(port, UART_LSR) & UART_LSR_DR) == 0);
}

TEST_CASE_FIXTURE(Fixture, "received data goes before the transmitter, and neither is lost") {
  out8(port, UART_IER, UART_IER_RDI | UART_IER_THRI);
  receive("a");
  CHECK(in8(port, UART_IIR) == UART_IIR_RDI);
  in8(port, UART_RX);
  CHECK(in8(port, UART_IIR) == UART_IIR_THRI);
  CHECK(in8(port, UART_IIR) == UART_IIR_NO_INT);
}

TEST_CASE_FIXTURE(Fixture, "enabling the receive interrupt with data waiting raises it") {
  receive("a");
  CHECK(line.pulses == 0);
  out8(port, UART_IER, UART_IER_RDI);
  CHECK(line.pulses == 1);
}

TEST_CASE_FIXTURE(Fixture, "a full receiver asks for more once it was read, and drops excess") {
  int calls = 0;
  port.on_receive_space([&] { ++calls; });
  receive(std::string(Serial::kReceiveCapacity + 10, 'x'));
  CHECK(port.receive_space() == 0);
  in8(port, UART_RX);
  CHECK(calls == 1);
  CHECK(port.receive_space() == 1);
  for (size_t i = 1; i < Serial::kReceiveCapacity; ++i) CHECK(in8(port, UART_RX) == 'x');
  CHECK((in8(port, UART_LSR) & UART_LSR_DR) == 0);
  CHECK(calls == 2);
}

TEST_CASE_FIXTURE(Fixture, "clearing the receive FIFO makes room") {
  int calls = 0;
  port.on_receive_space([&] { ++calls; });
  receive("junk");
  out8(port, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
  CHECK(port.receive_space() == Serial::kReceiveCapacity);
  CHECK(calls == 1);
}

TEST_CASE_FIXTURE(Fixture, "loopback sends to itself, not to the host") {
  out8(port, UART_MCR, UART_MCR_LOOP);
  out8(port, UART_TX, 'q');
  CHECK(sink.text.empty());
  CHECK(port.receive_space() == 0);
  CHECK(in8(port, UART_RX) == 'q');
  for (size_t i = 0; i < 2 * Serial::kReceiveCapacity; ++i) out8(port, UART_TX, 'z');
  out8(port, UART_MCR, 0);
  CHECK(port.receive_space() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a wide access reaches one register after the other, to the last") {
  bus::Bus bus;
  bus.attach(0x3f8, 8, port, "com1");
  out8(port, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
  const std::array<std::byte, 2> divisor = {std::byte{0x34}, std::byte{0x12}};
  CHECK(bus.write(0x3f8 + UART_DLL, divisor));
  CHECK(in8(port, UART_DLL) == 0x34);
  CHECK(in8(port, UART_DLM) == 0x12);
  out8(port, UART_SCR, 0xa5);
  std::array<std::byte, 4> data{};
  CHECK(bus.read(0x3f8 + UART_SCR, data));
  CHECK(data[0] == std::byte{0xa5});
  CHECK(data[1] == std::byte{0xff});
  CHECK(data[3] == std::byte{0xff});
}

TEST_CASE_FIXTURE(Fixture, "a port goes back to its checkpoint, with what was not read then") {
  out8(port, UART_IER, UART_IER_RDI);
  out8(port, UART_SCR, 0x11);
  receive("ab");
  port.checkpoint();
  CHECK(in8(port, UART_RX) == 'a');
  CHECK(in8(port, UART_RX) == 'b');
  receive("cd");
  out8(port, UART_IER, 0);
  out8(port, UART_SCR, 0x22);
  for (int again = 0; again < 2; ++again) {
    port.rewind();
    CHECK(in8(port, UART_IER) == UART_IER_RDI);
    CHECK(in8(port, UART_SCR) == 0x11);
    CHECK(in8(port, UART_RX) == 'a');
    CHECK(in8(port, UART_RX) == 'b');
    CHECK((in8(port, UART_LSR) & UART_LSR_DR) == 0);
  }
}

}  // namespace vmm::devices
