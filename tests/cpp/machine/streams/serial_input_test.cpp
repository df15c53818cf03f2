// SPDX-License-Identifier: GPL-2.0-only
#include "machine/streams/serial_input.hpp"

#include <doctest/doctest.h>
#include <linux/serial_reg.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>

#include "machine/streams/host_link.hpp"

namespace vmm::machine {
namespace {

struct Nowhere : devices::ByteSink, base::InterruptLine {
  void write(std::span<const std::byte>) override {}
  void flush() override {}
  void raise() override {}
};

struct Fixture {
  HostLink link;
  Nowhere nowhere;
  base::EventLoop loop;
  devices::Serial port{nowhere, nowhere};
  SerialInput input{loop, link.device_end.get(), port};

  // The bytes that a guest reads by polling the line status, within a long timeout.
  std::string read_as_guest(size_t wanted) {
    std::string text;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (text.size() < wanted && std::chrono::steady_clock::now() < deadline) {
      std::array<std::byte, 1> data{};
      port.read(UART_LSR, data);
      if ((data[0] & std::byte{UART_LSR_DR}) == std::byte{0}) {
        std::this_thread::yield();
        continue;
      }
      port.read(UART_RX, data);
      text += static_cast<char>(data[0]);
    }
    return text;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "bytes from the host arrive at the port") {
  REQUIRE(send(link.host_end.get(), "run\n", 4, 0) == 4);
  CHECK(read_as_guest(4) == "run\n");
}

TEST_CASE_FIXTURE(Fixture, "more than the port holds waits in the socket and arrives in order") {
  std::string text;
  for (int i = 0; i < 10000; ++i) text += static_cast<char>('a' + i % 26);
  REQUIRE(send(link.host_end.get(), text.data(), text.size(), 0) ==
          static_cast<ssize_t>(text.size()));
  CHECK(read_as_guest(text.size()) == text);
}

TEST_CASE_FIXTURE(Fixture, "a host that hangs up leaves what it sent") {
  REQUIRE(send(link.host_end.get(), "bye", 3, 0) == 3);
  link.host_end.reset();
  CHECK(read_as_guest(3) == "bye");
}

}  // namespace vmm::machine
