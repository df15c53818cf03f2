// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/console/console.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "base/event_loop.hpp"
#include "mock_driver.hpp"

namespace vmm::test {
namespace {

using namespace std::chrono_literals;
using base::UniqueFd;
using virtio::Console;

constexpr uint16_t kConsoleRx = 0, kConsoleTx = 1, kControlRx = 2, kControlTx = 3;
constexpr uint16_t kAgentRx = 4, kAgentTx = 5;
constexpr uint64_t kScratch = MockDriver::kBuffers;
constexpr uint64_t kControlBuffers = kScratch + 0x10000;
constexpr uint32_t kControlBufferBytes = 64;
constexpr uint64_t kMultiport = MockDriver::kRingFeatures | 1ULL << VIRTIO_F_IN_ORDER |
                                1ULL << VIRTIO_CONSOLE_F_SIZE | 1ULL << VIRTIO_CONSOLE_F_MULTIPORT;
constexpr uint64_t kSinglePort = MockDriver::kRingFeatures;

// Tests must not wait for ever; no step takes nearly this long.
bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

struct SocketPair {
  SocketPair() {
    std::array<int, 2> ends;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    host = UniqueFd(ends[0]);
    device = UniqueFd(ends[1]);
  }
  UniqueFd host;
  UniqueFd device;
};

std::string read_some(const UniqueFd& fd) {
  std::string bytes(65536, '\0');
  const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

void write_all(const UniqueFd& fd, std::string_view bytes) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!bytes.empty() && std::chrono::steady_clock::now() < deadline) {
    const ssize_t sent = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else {
      pollfd writable_again{fd.get(), POLLOUT, 0};
      poll(&writable_again, 1, 100);
    }
  }
}

struct Control {
  uint32_t id;
  uint16_t event;
  uint16_t value;
  std::string tail;

  bool operator==(const Control&) const = default;
};

// Bytes in which a lost, doubled or swapped piece is visible.
std::string pattern(size_t length) {
  std::string bytes(length, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

struct Fixture {
  SocketPair console_socket;
  SocketPair agent_socket;
  base::EventLoop loop;
  Console console{loop, {std::move(console_socket.device), std::move(agent_socket.device)}};
  MockDriver driver{console};

  UniqueFd& console_host() { return console_socket.host; }
  UniqueFd& agent_host() { return agent_socket.host; }

  void give_control_buffers(int count) {
    for (int i = 0; i < count; ++i) {
      driver.ring(kControlRx)
          .add({writable(kControlBuffers + i * kControlBufferBytes, kControlBufferBytes)});
    }
    driver.notify(kControlRx);
  }

  void send_control(uint32_t id, uint16_t event, uint16_t value) {
    driver.memory.write_object({kScratch}, virtio_console_control{id, event, value});
    driver.add_and_notify(kControlTx, {readable(kScratch, sizeof(virtio_console_control))});
  }

  // Control buffers are added and used in order, so their addresses repeat with the ring.
  std::vector<Control> take_control() {
    std::vector<Control> messages;
    while (const auto used = driver.ring(kControlRx).take_used()) {
      const uint64_t place = kControlBuffers + used->id * kControlBufferBytes;
      const auto header = *driver.memory.read_object<virtio_console_control>({place});
      messages.push_back({header.id, header.event, header.value,
                          driver.get(place + sizeof header, used->len - sizeof header)});
    }
    return messages;
  }

  // Opens both ports like Linux.
  void open_ports() {
    REQUIRE(driver.start(kMultiport, 6));
    give_control_buffers(16);
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (const uint32_t port : {0U, 1U}) {
      send_control(port, VIRTIO_CONSOLE_PORT_READY, 1);
      send_control(port, VIRTIO_CONSOLE_PORT_OPEN, 1);
    }
    take_control();
  }

  void transmit(uint16_t queue, std::string_view text) {
    driver.put(kScratch + 0x100, text);
    driver.add_and_notify(queue, {readable(kScratch + 0x100, static_cast<uint32_t>(text.size()))});
  }

  bool transmitted(uint16_t queue) { return driver.ring(queue).take_used().has_value(); }

  // Adds one buffer and waits for its data.
  std::string receive(uint16_t queue, uint32_t length) {
    driver.add_and_notify(queue, {writable(kScratch + 0x2000, length)});
    return received(queue);
  }
  std::string received(uint16_t queue) {
    std::optional<vring_used_elem> used;
    eventually([&] { return (used = driver.ring(queue).take_used()).has_value(); });
    return used ? driver.get(kScratch + 0x2000, used->len) : "";
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "console offers two ports") {
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_CONSOLE);
  CHECK(driver.device_features() == kMultiport);
  CHECK(driver.read_config<uint32_t>(offsetof(virtio_console_config, max_nr_ports)) == 2);
}

TEST_CASE_FIXTURE(Fixture, "console adds, names and opens its ports when the driver asks") {
  REQUIRE(driver.start(kMultiport, 6));
  give_control_buffers(16);
  send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
  CHECK(take_control() == std::vector<Control>{{0, VIRTIO_CONSOLE_PORT_ADD, 1, ""},
                                               {1, VIRTIO_CONSOLE_PORT_ADD, 1, ""}});
  send_control(0, VIRTIO_CONSOLE_PORT_READY, 1);
  CHECK(take_control() == std::vector<Control>{{0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, ""},
                                               {0, VIRTIO_CONSOLE_PORT_OPEN, 1, ""}});
  send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
  CHECK(take_control() ==
        std::vector<Control>{{1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.toolskvm.agent"},
                             {1, VIRTIO_CONSOLE_PORT_OPEN, 1, ""}});
}

TEST_CASE_FIXTURE(Fixture, "control messages wait for buffers") {
  REQUIRE(driver.start(kMultiport, 6));
  send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
  CHECK(take_control().empty());
  give_control_buffers(2);
  CHECK(take_control().size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a flood of control messages waits in the ring, not in the host") {
  REQUIRE(driver.start(kMultiport, 6));
  int completed = 0;
  for (int i = 0; i < 200; ++i) {
    if (driver.ring(kControlTx).available_index() - completed == 16) break;
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    while (transmitted(kControlTx)) ++completed;
  }
  CHECK(completed < 40);
  give_control_buffers(16);
  CHECK(take_control().size() == 16);
  while (transmitted(kControlTx)) ++completed;
  give_control_buffers(16);
  CHECK(take_control().size() == 16);
}

TEST_CASE_FIXTURE(Fixture, "odd control messages are ignored") {
  open_ports();
  send_control(2, VIRTIO_CONSOLE_PORT_READY, 1);
  send_control(~0U, VIRTIO_CONSOLE_PORT_OPEN, 1);
  send_control(0, 77, 1);
  send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 0);
  driver.add_and_notify(kControlTx, {readable(kScratch, 3)});
  CHECK(take_control().empty());
  CHECK_FALSE(driver.transport.fault());
}

TEST_CASE_FIXTURE(Fixture, "guest output is used before notify returns") {
  open_ports();
  transmit(kConsoleTx, "hello");
  CHECK(transmitted(kConsoleTx));
  transmit(kAgentTx, "agent");
  CHECK(transmitted(kAgentTx));
  CHECK(read_some(console_host()) == "hello");
  CHECK(read_some(agent_host()) == "agent");
}

TEST_CASE_FIXTURE(Fixture, "without multiport there is one open port") {
  REQUIRE(driver.start(kSinglePort, 2));
  transmit(kConsoleTx, "plain");
  CHECK(read_some(console_host()) == "plain");
  write_all(console_host(), "input");
  CHECK(receive(kConsoleRx, 64) == "input");
}

TEST_CASE_FIXTURE(Fixture, "input waits for the guest to open the port and to give buffers") {
  REQUIRE(driver.start(kMultiport, 6));
  give_control_buffers(16);
  driver.add_and_notify(kAgentRx, {writable(kScratch + 0x2000, 5)});
  write_all(agent_host(), "early and long");
  std::this_thread::sleep_for(20ms);
  CHECK(driver.ring(kAgentRx).used_index() == 0);
  send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
  CHECK(received(kAgentRx) == "early");
  CHECK(receive(kAgentRx, 64) == " and long");
  CHECK((driver.take_interrupts() & VIRTIO_MMIO_INT_VRING) != 0);
}

TEST_CASE_FIXTURE(Fixture, "input arrives in buffers that wait for it") {
  open_ports();
  driver.add_and_notify(kConsoleRx, {writable(kScratch + 0x2000, 64)});
  write_all(console_host(), "typed");
  CHECK(received(kConsoleRx) == "typed");
}

TEST_CASE_FIXTURE(Fixture, "a full socket holds output back and loses none of it") {
  open_ports();
  const std::string sent = pattern(1 << 20);
  const uint32_t piece = 1 << 16;
  driver.put(kScratch + 0x100000, sent);
  for (uint32_t at = 0; at < sent.size(); at += piece) {
    driver.ring(kAgentTx).add({readable(kScratch + 0x100000 + at, piece)});
  }
  driver.notify(kAgentTx);
  CHECK(driver.ring(kAgentTx).used_index() < sent.size() / piece);
  std::string got;
  CHECK(eventually([&] {
    got += read_some(agent_host());
    return got.size() >= sent.size();
  }));
  CHECK(got == sent);
  CHECK(eventually([&] { return driver.ring(kAgentTx).used_index() == sent.size() / piece; }));
}

TEST_CASE_FIXTURE(Fixture, "one full port does not hold back the other") {
  open_ports();
  driver.add_and_notify(kAgentTx, {readable(kScratch, 2 << 20)});
  CHECK_FALSE(transmitted(kAgentTx));
  transmit(kConsoleTx, "still here");
  CHECK(transmitted(kConsoleTx));
}

TEST_CASE_FIXTURE(Fixture, "input is byte-exact under load") {
  open_ports();
  const std::string sent = pattern(1 << 20);
  std::thread host([&] { write_all(agent_host(), sent); });
  std::string got;
  while (got.size() < sent.size()) {
    const auto length = static_cast<uint32_t>(1 + got.size() % 4096);
    const std::string piece = receive(kAgentRx, length);
    if (piece.empty()) break;
    got += piece;
  }
  host.join();
  CHECK(got.size() == sent.size());
  CHECK((got == sent));
}

TEST_CASE_FIXTURE(Fixture, "output to a host that has gone is used, so that the guest goes on") {
  open_ports();
  agent_host().reset();
  transmit(kAgentTx, "to nobody");
  CHECK(eventually([&] { return transmitted(kAgentTx); }));
  transmit(kAgentTx, "still nobody");
  CHECK(transmitted(kAgentTx));
}

TEST_CASE_FIXTURE(Fixture, "the guest hears when the host hangs up, after its last bytes") {
  open_ports();
  write_all(agent_host(), "bye");
  shutdown(agent_host().get(), SHUT_WR);
  CHECK(receive(kAgentRx, 64) == "bye");
  driver.add_and_notify(kAgentRx, {writable(kScratch + 0x2000, 64)});
  std::vector<Control> messages;
  CHECK(eventually([&] { return !(messages = take_control()).empty(); }));
  CHECK(messages == std::vector<Control>{{1, VIRTIO_CONSOLE_PORT_OPEN, 0, ""}});
  transmit(kAgentTx, "half open");
  CHECK(read_some(agent_host()) == "half open");
}

TEST_CASE_FIXTURE(Fixture, "resize reaches configuration and port 0") {
  open_ports();
  const uint32_t before = driver.read32(VIRTIO_MMIO_CONFIG_GENERATION);
  driver.take_interrupts();
  console.resize(120, 40);
  CHECK((driver.take_interrupts() & VIRTIO_MMIO_INT_CONFIG) != 0);
  CHECK(driver.read32(VIRTIO_MMIO_CONFIG_GENERATION) != before);
  CHECK(driver.read_config<uint16_t>(0) == 120);
  CHECK(driver.read_config<uint16_t>(2) == 40);
  const std::string size{120, 0, 40, 0};
  CHECK(take_control() == std::vector<Control>{{0, VIRTIO_CONSOLE_RESIZE, 0, size}});
}

TEST_CASE_FIXTURE(Fixture, "a reset in mid-transfer forgets the old rings") {
  open_ports();
  driver.add_and_notify(kAgentTx, {readable(kScratch, 2 << 20)});
  CHECK_FALSE(transmitted(kAgentTx));
  driver.reset();
  while (!read_some(agent_host()).empty()) {
  }
  std::this_thread::sleep_for(20ms);
  CHECK(read_some(agent_host()).empty());
  open_ports();
  transmit(kAgentTx, "afresh");
  CHECK(eventually([&] { return read_some(agent_host()) == "afresh"; }));
}

TEST_CASE_FIXTURE(Fixture, "a fault of one queue stops them all") {
  open_ports();
  driver.add_and_notify(kAgentTx, {readable(~uint64_t{0}, 8)});
  CHECK(driver.transport.fault() == "queue 5: a buffer is not in guest memory");
  transmit(kConsoleTx, "nothing");
  CHECK_FALSE(transmitted(kConsoleTx));
  open_ports();
  transmit(kConsoleTx, "again");
  CHECK(read_some(console_host()) == "again");
}

TEST_CASE_FIXTURE(Fixture, "a receive buffer the device may not write is a fault") {
  open_ports();
  driver.add_and_notify(kConsoleRx, {readable(kScratch, 64)});
  write_all(console_host(), "x");
  CHECK(eventually([&] { return driver.transport.fault().has_value(); }));
}

}  // namespace vmm::test
