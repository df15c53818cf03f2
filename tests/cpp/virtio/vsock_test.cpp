// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/vsock/vsock.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_ids.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "descriptor_limit.hpp"
#include "mock_driver.hpp"
#include "temporary_folder.hpp"

namespace vmm::test {
namespace {

using namespace std::chrono_literals;
using virtio::Vsock;

constexpr uint16_t kReceive = 0, kTransmit = 1;
constexpr uint64_t kPlace = MockDriver::kBuffers;
constexpr uint64_t kReceivePlace = kPlace + 0x100000;
constexpr uint32_t kBufferBytes = 4096;
constexpr uint32_t kHeader = sizeof(virtio_vsock_hdr);
constexpr uint64_t kCid = 42;

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

struct Packet {
  virtio_vsock_hdr header;
  std::string data;
};

struct Fixture {
  Fixture() { start(); }

  void start() {
    REQUIRE(driver.start(MockDriver::kRingFeatures, 3));
    given = 0;
    seen = 0;
    for (int i = 0; i < 64; ++i) give(kBufferBytes);
  }

  void give(uint32_t length) {
    driver.add_and_notify(kReceive, {writable(kReceivePlace + given++ % 64 * 0x1000, length)});
  }

  // Takes the device's next packet, and adds its buffer again.
  std::optional<Packet> next() {
    std::optional<vring_used_elem> used;
    if (!eventually([&] { return (used = driver.ring(kReceive).take_used()).has_value(); })) {
      return std::nullopt;
    }
    return packet_of(*used);
  }
  std::optional<Packet> next_now() {
    const auto used = driver.ring(kReceive).take_used();
    return used ? std::optional(packet_of(*used)) : std::nullopt;
  }
  Packet packet_of(const vring_used_elem& used) {
    const uint64_t place = kReceivePlace + seen++ % 64 * 0x1000;
    Packet packet{*driver.memory.read_object<virtio_vsock_hdr>({place}), ""};
    packet.data = driver.get(place + kHeader, used.len - kHeader);
    give(kBufferBytes);
    return packet;
  }

  virtio_vsock_hdr header(uint16_t op, uint32_t host, uint32_t guest) const {
    virtio_vsock_hdr header{};
    header.src_cid = kCid;
    header.dst_cid = Vsock::kHostCid;
    header.src_port = guest;
    header.dst_port = host;
    header.type = VIRTIO_VSOCK_TYPE_STREAM;
    header.op = op;
    header.buf_alloc = 65536;
    return header;
  }
  void send(const virtio_vsock_hdr& header, const std::string& data = "") {
    driver.memory.write_object({kPlace}, header);
    driver.put(kPlace + kHeader, data);
    driver.add_and_notify(kTransmit,
                          {readable(kPlace, kHeader + static_cast<uint32_t>(data.size()))});
  }
  void say(uint16_t op, uint32_t host, uint32_t guest, const std::string& data = "",
           uint32_t flags = 0) {
    auto words = header(op, host, guest);
    words.len = static_cast<uint32_t>(data.size());
    words.flags = flags;
    send(words, data);
  }

  base::UniqueFd listen_at(uint32_t port) {
    base::UniqueFd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(folder / ("v_" + std::to_string(port)));
    REQUIRE(bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(server.get(), 16) == 0);
    return server;
  }
  base::UniqueFd connect_host(const std::string& line) {
    base::UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(folder / "v");
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    write(client, line);
    return client;
  }
  static void write(const base::UniqueFd& fd, const std::string& text) {
    REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
  static std::string read(const base::UniqueFd& fd, size_t most = 65536) {
    std::string bytes(most, '\0');
    const ssize_t got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }

  // Opens a stream from the guest's port 7 to the host's port 5.
  base::UniqueFd open_from_guest() {
    const base::UniqueFd server = listen_at(5);
    say(VIRTIO_VSOCK_OP_REQUEST, 5, 7);
    base::UniqueFd accepted(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(accepted);
    const auto answer = next();
    REQUIRE(answer);
    CHECK(answer->header.op == VIRTIO_VSOCK_OP_RESPONSE);
    CHECK(answer->header.dst_port == 7);
    CHECK(answer->header.src_port == 5);
    CHECK(answer->header.dst_cid == kCid);
    CHECK(answer->header.buf_alloc > 0);
    return accepted;
  }
  void check_reset(uint32_t host, uint32_t guest) {
    const auto answer = next();
    REQUIRE(answer);
    CHECK(answer->header.op == VIRTIO_VSOCK_OP_RST);
    CHECK(answer->header.src_port == host);
    CHECK(answer->header.dst_port == guest);
  }
  bool faulty() { return (driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0; }

  TemporaryFolder folder;
  base::EventLoop loop;
  Vsock vsock{loop, kCid, folder / "v"};
  MockDriver driver{vsock};
  uint64_t given = 0;
  uint64_t seen = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "vsock tells the guest who it is") {
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_VSOCK);
  CHECK(driver.read_config<uint64_t>(0) == kCid);
}

TEST_CASE_FIXTURE(Fixture, "a guest's stream reaches who listens behind the port") {
  const base::UniqueFd host = open_from_guest();
  say(VIRTIO_VSOCK_OP_RW, 5, 7, "from the guest");
  CHECK(read(host) == "from the guest");
  write(host, "from the host");
  const auto packet = next();
  REQUIRE(packet);
  CHECK(packet->header.op == VIRTIO_VSOCK_OP_RW);
  CHECK(packet->header.len == 13);
  CHECK(packet->data == "from the host");
}

TEST_CASE_FIXTURE(Fixture, "a port where nobody listens resets the stream") {
  say(VIRTIO_VSOCK_OP_REQUEST, 6, 7);
  check_reset(6, 7);
  CHECK(vsock.connection_count() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a host program reaches a guest's port and hears that it did") {
  const base::UniqueFd host = connect_host("CONNECT 1234\nhello");
  const auto request = next();
  REQUIRE(request);
  CHECK(request->header.op == VIRTIO_VSOCK_OP_REQUEST);
  CHECK(request->header.dst_port == 1234);
  const uint32_t port = request->header.src_port;
  CHECK(port >= Vsock::kFirstHostPort);
  say(VIRTIO_VSOCK_OP_RESPONSE, port, 1234);
  CHECK(read(host) == "OK " + std::to_string(port) + "\n");
  const auto packet = next();
  REQUIRE(packet);
  CHECK(packet->data == "hello");
}

TEST_CASE_FIXTURE(Fixture, "a guest that refuses closes the host program's socket") {
  const base::UniqueFd host = connect_host("CONNECT 1\n");
  const auto request = next();
  REQUIRE(request);
  say(VIRTIO_VSOCK_OP_RST, request->header.src_port, 1);
  CHECK(read(host).empty());
  CHECK(vsock.connection_count() == 0);
  CHECK_FALSE(next_now());
}

TEST_CASE_FIXTURE(Fixture, "a host program that says something else is cut off") {
  const base::UniqueFd host = connect_host("GET / HTTP/1.1\r\n");
  CHECK(read(host).empty());
  CHECK(vsock.connection_count() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a host program that leaves before the answer takes its request along") {
  base::UniqueFd host = connect_host("CONNECT 1\n");
  const auto request = next();
  REQUIRE(request);
  host.reset();
  check_reset(request->header.src_port, 1);
  CHECK(vsock.connection_count() == 0);
}

TEST_CASE_FIXTURE(Fixture, "large data arrives whole, in as many packets as it takes") {
  const base::UniqueFd host = open_from_guest();
  std::string sent;
  for (int i = 0; i < 50000; ++i) sent += static_cast<char>(i * 31 >> 3);
  std::thread writer([&] { write(host, sent); });
  std::string got;
  uint32_t forwarded = 0;
  while (got.size() < sent.size()) {
    const auto packet = next();
    REQUIRE(packet);
    got += packet->data;
    forwarded += packet->header.len;
    auto credit = header(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 5, 7);
    credit.buf_alloc = 8192;
    credit.fwd_cnt = forwarded;
    send(credit);
  }
  writer.join();
  CHECK(got == sent);
}

TEST_CASE_FIXTURE(Fixture, "both ends can say that they are done") {
  base::UniqueFd host = open_from_guest();
  shutdown(host.get(), SHUT_WR);
  const auto packet = next();
  REQUIRE(packet);
  CHECK(packet->header.op == VIRTIO_VSOCK_OP_SHUTDOWN);
  CHECK(packet->header.flags == VIRTIO_VSOCK_SHUTDOWN_SEND);
  say(VIRTIO_VSOCK_OP_RW, 5, 7, "last");
  say(VIRTIO_VSOCK_OP_SHUTDOWN, 5, 7, "", VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
  CHECK(read(host) == "last");
  CHECK(read(host).empty());
  check_reset(5, 7);
  CHECK(vsock.connection_count() == 0);
}

TEST_CASE_FIXTURE(Fixture, "what breaks the protocol resets its own stream and no other") {
  const base::UniqueFd good = open_from_guest();
  const uint32_t other = 9;
  const auto expect_refusal = [&](virtio_vsock_hdr words, const std::string& data = "") {
    words.src_port = other;
    send(words, data);
    check_reset(words.dst_port, other);
  };
  for (const uint16_t op :
       {VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_SHUTDOWN,
        VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_REQUEST, VIRTIO_VSOCK_OP_INVALID}) {
    expect_refusal(header(op, 5, other));
  }
  expect_refusal(header(999, 5, other));
  auto words = header(VIRTIO_VSOCK_OP_REQUEST, 5, other);
  words.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
  expect_refusal(words);
  words = header(VIRTIO_VSOCK_OP_REQUEST, 5, other);
  words.dst_cid = 77;
  expect_refusal(words);
  say(VIRTIO_VSOCK_OP_RW, 5, 7, "still here");
  CHECK(read(good) == "still here");
  CHECK_FALSE(faulty());
}

TEST_CASE_FIXTURE(Fixture, "a length beyond the packet, and too much data, reset the stream") {
  {
    const base::UniqueFd host = open_from_guest();
    auto words = header(VIRTIO_VSOCK_OP_RW, 5, 7);
    words.len = 0xffffffff;
    send(words, "short");
    check_reset(5, 7);
    CHECK(read(host).empty());
  }
  std::filesystem::remove(folder / "v_5");
  const base::UniqueFd host = open_from_guest();
  // The host does not read: at some point there is neither room nor credit.
  const std::string piece(60000, 'x');
  bool reset = false;
  for (int i = 0; i < 64 && !reset; ++i) {
    say(VIRTIO_VSOCK_OP_RW, 5, 7, piece);
    while (const auto packet = next_now()) reset = packet->header.op == VIRTIO_VSOCK_OP_RST;
  }
  CHECK(reset);
  CHECK(vsock.connection_count() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a second request for a stream and an answer to none end it") {
  {
    const base::UniqueFd host = open_from_guest();
    say(VIRTIO_VSOCK_OP_REQUEST, 5, 7);
    check_reset(5, 7);
    CHECK(read(host).empty());
  }
  std::filesystem::remove(folder / "v_5");
  const base::UniqueFd host = open_from_guest();
  say(VIRTIO_VSOCK_OP_RESPONSE, 5, 7);
  check_reset(5, 7);
}

TEST_CASE_FIXTURE(Fixture, "packets from a stranger or too short are dropped") {
  auto words = header(VIRTIO_VSOCK_OP_REQUEST, 5, 7);
  words.src_cid = kCid + 1;
  send(words);
  driver.add_and_notify(kTransmit, {readable(kPlace, kHeader - 1)});
  driver.add_and_notify(kTransmit, {writable(kPlace, 100)});
  say(VIRTIO_VSOCK_OP_RST, 5, 7);  // a reset is never answered
  CHECK(driver.ring(kTransmit).used_index() == 4);
  CHECK_FALSE(next_now());
  CHECK_FALSE(faulty());
}

TEST_CASE_FIXTURE(Fixture, "refusals wait for buffers, and packets behind them wait too") {
  REQUIRE(driver.start(MockDriver::kRingFeatures, 3));  // no buffers added
  given = seen = 0;
  for (uint32_t guest = 0; guest < 100; ++guest) say(VIRTIO_VSOCK_OP_RW, 5, guest);
  const uint16_t served = driver.ring(kTransmit).used_index();
  CHECK(served >= 64);
  CHECK(served < 100);
  for (int i = 0; i < 100; ++i) give(kHeader);
  CHECK(driver.ring(kTransmit).used_index() == 100);
  CHECK(driver.ring(kReceive).used_index() == 100);
}

TEST_CASE_FIXTURE(Fixture, "a receive buffer without room for a header is a fault") {
  REQUIRE(driver.start(MockDriver::kRingFeatures, 3));
  driver.add_and_notify(kReceive, {writable(kReceivePlace, kHeader - 1)});
  say(VIRTIO_VSOCK_OP_REQUEST, 6, 7);
  CHECK(faulty());
  start();
  say(VIRTIO_VSOCK_OP_REQUEST, 6, 7);
  check_reset(6, 7);
}

TEST_CASE_FIXTURE(Fixture, "a buffer that has room for a header alone can't take data") {
  const base::UniqueFd host = open_from_guest();
  REQUIRE(driver.start(MockDriver::kRingFeatures, 3));
  CHECK(read(host).empty());  // the reset has ended the stream
  std::filesystem::remove(folder / "v_5");
  const base::UniqueFd server = listen_at(5);
  driver.add_and_notify(kReceive, {writable(kReceivePlace, kHeader)});
  say(VIRTIO_VSOCK_OP_REQUEST, 5, 7);
  CHECK(driver.ring(kReceive).used_index() == 1);
  const base::UniqueFd again(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  write(again, "data");
  driver.add_and_notify(kReceive, {writable(kReceivePlace, kHeader)});
  CHECK(eventually([&] { return faulty(); }));
}

TEST_CASE_FIXTURE(Fixture, "a reset ends every stream") {
  const base::UniqueFd guest_made = open_from_guest();
  const base::UniqueFd host_made = connect_host("CONNECT 3\n");
  REQUIRE(next());
  CHECK(vsock.connection_count() == 2);
  driver.reset();
  CHECK(vsock.connection_count() == 0);
  CHECK(read(guest_made).empty());
  CHECK(read(host_made).empty());
}

TEST_CASE_FIXTURE(Fixture, "there are no more streams than there may be") {
  constexpr rlim_t kBothEnds = 3 * Vsock::kMaxConnections;
  if (!DescriptorLimit::possible(kBothEnds)) {
    MESSAGE("this process may not open that many: nothing tested");
    return;
  }
  const DescriptorLimit limit(kBothEnds);
  const base::UniqueFd server = listen_at(5);
  std::vector<base::UniqueFd> accepted;
  uint32_t refused = 0;
  for (uint32_t guest = 0; guest < Vsock::kMaxConnections + 100; ++guest) {
    say(VIRTIO_VSOCK_OP_REQUEST, 5, guest);
    base::UniqueFd host(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (host) accepted.push_back(std::move(host));
    while (const auto packet = next_now()) refused += packet->header.op == VIRTIO_VSOCK_OP_RST;
  }
  CHECK(refused == 100);
  CHECK(vsock.connection_count() == Vsock::kMaxConnections);
  CHECK_FALSE(faulty());
}

TEST_CASE_FIXTURE(Fixture, "callers that leave before the driver has buffers leave nothing") {
  REQUIRE(driver.start(MockDriver::kRingFeatures, 3));
  given = seen = 0;
  for (int i = 0; i < 200; ++i) {
    const base::UniqueFd caller = connect_host("CONNECT 3\n");
    REQUIRE(eventually([&] { return vsock.connection_count() == 1; }));
    ::shutdown(caller.get(), SHUT_RDWR);
    REQUIRE(eventually([&] { return vsock.connection_count() == 0; }));
  }
  connect_host("CONN").reset();
  CHECK(eventually([&] { return vsock.connection_count() == 0; }));
  for (int i = 0; i < 64; ++i) give(kHeader);
  CHECK(driver.ring(kReceive).used_index() == 0);  // the guest saw none of them
  say(VIRTIO_VSOCK_OP_RW, 5, 7);
  check_reset(5, 7);
}

TEST_CASE_FIXTURE(Fixture, "callers can't take the VMM's last descriptors") {
  constexpr size_t kCallers = 110;
  const DescriptorLimit limit(256);
  std::vector<base::UniqueFd> callers;
  for (size_t i = 0; i < kCallers; ++i) callers.push_back(connect_host("CONNECT 3\n"));
  const auto turned_away = [&] {
    size_t count = 0;
    for (const base::UniqueFd& caller : callers) {
      char byte;
      count += ::recv(caller.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
    }
    return count;
  };
  REQUIRE(eventually([&] { return vsock.connection_count() + turned_away() == kCallers; }));
  CHECK(turned_away() > 0);
  CHECK(vsock.connection_count() > 0);
  callers.clear();
  REQUIRE(eventually([&] { return vsock.connection_count() == 0; }));
  const base::UniqueFd another = connect_host("CONNECT 3\n");
  CHECK(eventually([&] { return vsock.connection_count() == 1; }));
}

TEST_CASE_FIXTURE(Fixture, "packets at random, from a fixed seed, harm nothing") {
  const base::UniqueFd server = listen_at(5);
  std::mt19937 random(1);
  const auto below = [&](uint32_t limit) { return static_cast<uint32_t>(random()) % limit; };
  std::vector<base::UniqueFd> accepted;
  int answers = 0;
  for (int step = 0; step < 20'000; ++step) {
    auto words = header(static_cast<uint16_t>(below(9)), 5 + below(2), 7 + below(3));
    if (below(30) == 0) words.src_cid = below(50);
    if (below(30) == 0) words.dst_cid = below(50);
    if (below(30) == 0) words.type = static_cast<uint16_t>(below(4));
    words.buf_alloc = std::array<uint32_t, 4>{0, 100, 65536, ~0U}[below(4)];
    words.fwd_cnt = std::array<uint32_t, 3>{0, 50, static_cast<uint32_t>(random())}[below(3)];
    words.flags = below(4);
    const std::string data(below(2000), 'x');
    words.len = below(20) == 0 ? below(5000) : static_cast<uint32_t>(data.size());
    send(words, data);
    base::UniqueFd host(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (host) accepted.push_back(std::move(host));
    if (!accepted.empty() && below(2) == 0) {
      base::UniqueFd& one = accepted[below(static_cast<uint32_t>(accepted.size()))];
      static_cast<void>(::send(one.get(), data.data(), data.size(), MSG_NOSIGNAL));
      if (below(3) == 0) static_cast<void>(read(one));
    }
    if (accepted.size() > 6) accepted.erase(accepted.begin());
    while (next_now()) ++answers;
  }
  CHECK_FALSE(faulty());
  CHECK(answers > 1000);
  CHECK(vsock.connection_count() <= 6);
}

}  // namespace vmm::test
