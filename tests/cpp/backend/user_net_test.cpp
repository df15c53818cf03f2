// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_net.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "backend/net_checksum.hpp"
#include "base/error.hpp"
#include "descriptor_limit.hpp"

namespace vmm::test {
namespace {

using backend::NetHeader;
using backend::PortForward;
using backend::Sent;
using backend::UserNet;
using backend::UserNetTraits;
using namespace std::chrono_literals;

using Bytes = std::vector<uint8_t>;

constexpr Bytes::value_type kGuestMac[6] = {2, 0, 0, 0, 0, 1};

// "Who has 10.0.2.2? Tell 10.0.2.15."
Bytes arp_request() {
  Bytes frame = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  1, 0x08, 0x06,
                 0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,  0, 0,    1,
                 10,   0,    2,    15,   0,    0,    0, 0, 0, 0, 10, 0, 2,    2};
  frame.resize(60);
  return frame;
}

uint16_t sum_of(const uint8_t* bytes, size_t length) {
  return backend::ones_complement_sum({reinterpret_cast<const std::byte*>(bytes), length});
}

void put16(Bytes& bytes, size_t at, unsigned value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

// A datagram to a port of the router, whose UDP checksum only covers the pseudo header.
Bytes datagram(uint16_t port, const std::string& text, uint16_t from = 12345) {
  Bytes frame = {0x52, 0x55, 10, 0, 2, 2,  2, 0, 0,  0,  0, 1, 0x08, 0x00, 0x45, 0, 0, 0, 0, 1, 0,
                 0,    64,   17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,    0,    0,    0, 0, 0, 0, 0, 0};
  const size_t udp_bytes = 8 + text.size();
  put16(frame, 34, from);
  put16(frame, 16, static_cast<unsigned>(20 + udp_bytes));
  put16(frame, 24, static_cast<uint16_t>(~sum_of(&frame[14], 20)));
  put16(frame, 36, port);
  put16(frame, 38, static_cast<unsigned>(udp_bytes));
  unsigned pseudo = sum_of(&frame[26], 8) + 17U + static_cast<unsigned>(udp_bytes);
  pseudo = (pseudo & 0xffff) + (pseudo >> 16);
  put16(frame, 40, pseudo);
  frame.insert(frame.end(), text.begin(), text.end());
  return frame;
}

// A socket of the host at a free port.
struct HostSocket {
  explicit HostSocket(int kind) : fd(socket(AF_INET, kind | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    socklen_t length = sizeof address;
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port = ntohs(address.sin_port);
    const timeval patience{10, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  base::UniqueFd fd;
  uint16_t port = 0;
};

std::string error_of(const std::vector<PortForward>& forwards, uint16_t mtu = 1500) {
  try {
    const UserNet net(forwards, {.mtu = mtu});
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Received {
  std::string text;
  uint16_t from = 0;
};

Received receive_from(const HostSocket& socket, int flags = 0) {
  Received got{std::string(100, '\0'), 0};
  sockaddr_in address{};
  socklen_t size = sizeof address;
  const ssize_t length = recvfrom(socket.fd.get(), got.text.data(), got.text.size(), flags,
                                  reinterpret_cast<sockaddr*>(&address), &size);
  got.text.resize(length > 0 ? static_cast<size_t>(length) : 0);
  got.from = ntohs(address.sin_port);
  return got;
}

base::UniqueFd start_connecting(uint16_t port) {
  base::UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  static_cast<void>(
      connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  return client;
}

struct Fixture {
  Fixture() : Fixture(0, {.host_loopback = true}) {}

  // Forwards a port of the host to port 80 of the guest, of this kind unless it is 0.
  Fixture(int kind, const UserNetTraits& traits) {
    std::vector<PortForward> forwards;
    if (kind != 0) {
      forwarded = HostSocket(kind).port;
      forwards.push_back({kind == SOCK_DGRAM, "127.0.0.1", forwarded, 80});
    }
    try {
      net = std::make_unique<UserNet>(forwards, traits);
    } catch (const base::ConfigError& error) {
      MESSAGE("not tested here: " << error.what());
      return;
    }
    net->start([this](uint16_t) { ++calls; });
  }

  void send(Bytes frame, const NetHeader& header = {}) {
    const iovec piece{frame.data(), frame.size()};
    net->send(0, header, std::span(&piece, 1));
  }

  // The next frame without its header; empty when none comes.
  Bytes receive() {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < deadline) {
      const auto frame = net->peek(0);
      if (frame.empty()) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      Bytes copy(frame.size() - sizeof(NetHeader));
      std::memcpy(copy.data(), frame.data() + sizeof(NetHeader), copy.size());
      net->consume(0);
      return copy;
    }
    return {};
  }

  // Sends from a port of the guest to a socket of the host, with a checksum for the device to
  // complete.
  void send_datagram(const HostSocket& to, const std::string& text, uint16_t from) {
    NetHeader header{};
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.csum_start = 34;
    header.csum_offset = 6;
    send(datagram(to.port, text, from), header);
  }

  // Returns when all frames sent before have been served.
  void settle() {
    send(arp_request());
    Bytes answer;
    do {
      answer = receive();
      REQUIRE(!answer.empty());
    } while (answer[12] != 0x08 || answer[13] != 0x06);
  }

  std::atomic<int> calls = 0;
  uint16_t forwarded = 0;
  std::unique_ptr<UserNet> net;  // last: its thread counts calls
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the router answers, and the device is told of it") {
  if (!net) return;
  send(arp_request());
  const Bytes answer = receive();
  REQUIRE(answer.size() >= 42);
  CHECK(std::memcmp(answer.data(), kGuestMac, 6) == 0);
  CHECK(answer[21] == 2);  // a reply
  const uint8_t router[] = {10, 0, 2, 2};
  CHECK(std::memcmp(&answer[28], router, 4) == 0);
  CHECK(calls > 0);
}

TEST_CASE_FIXTURE(Fixture, "a checksum left to us is completed, so the datagram gets through") {
  if (!net) return;
  const HostSocket host(SOCK_DGRAM);
  send(arp_request());
  NetHeader header{};
  send(datagram(host.port, "left undone"), header);  // the library drops it silently
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 34;
  header.csum_offset = 6;
  send(datagram(host.port, "an odd number of bytes."), header);
  std::string got(100, '\0');
  const ssize_t length = recv(host.fd.get(), got.data(), got.size(), 0);
  CHECK(got.substr(0, length > 0 ? static_cast<size_t>(length) : 0) == "an odd number of bytes.");
}

TEST_CASE("a forwarded port leads to the guest") {
  Fixture fixture(SOCK_DGRAM, {});
  if (!fixture.net) return;
  fixture.send(arp_request());
  REQUIRE(fixture.receive().size() >= 42);
  const HostSocket client(SOCK_DGRAM);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(fixture.forwarded);
  const std::string text = "to the guest";
  REQUIRE(sendto(client.fd.get(), text.data(), text.size(), 0,
                 reinterpret_cast<const sockaddr*>(&address), sizeof address) > 0);
  const Bytes frame = fixture.receive();
  REQUIRE(frame.size() >= 42 + text.size());
  CHECK((frame[36] == 0 && frame[37] == 80));  // the port
  CHECK(std::memcmp(&frame[42], text.data(), text.size()) == 0);
}

TEST_CASE_FIXTURE(Fixture, "frames that make no sense are lost and nothing else is") {
  if (!net) return;
  NetHeader header{};
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 0xffff;
  header.csum_offset = 0xffff;
  send(arp_request(), header);
  header = {};
  header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;  // without a checksum to complete
  send(arp_request(), header);
  header.gso_type = VIRTIO_NET_HDR_GSO_UDP;
  send(arp_request(), header);
  send(Bytes(13));
  send(Bytes(backend::kMaxFrameBytes + 1));
  send(Bytes(backend::kMaxFrameBytes, 0xff));
  for (int type = 0; type < 0x10000; type += 0x101) {
    Bytes frame(64, 0x45);
    frame[12] = static_cast<uint8_t>(type >> 8);
    frame[13] = static_cast<uint8_t>(type);
    send(frame);
  }
  Bytes ip(64, 0xff);  // an IPv4 header with invalid lengths
  ip[12] = 0x08;
  ip[13] = 0x00;
  ip[14] = 0x4f;
  send(ip);
  send(arp_request());
  const Bytes answer = receive();
  REQUIRE(answer.size() >= 42);
  CHECK(answer[21] == 2);
}

TEST_CASE_FIXTURE(Fixture, "there is an end to what waits for the library") {
  if (!net) return;
  net->stop();
  const Bytes frame(60000, 0xff);
  Bytes copy = frame;
  const iovec piece{copy.data(), copy.size()};
  int taken = 0;
  while (taken < 1000 && net->send(0, {}, std::span(&piece, 1)) == Sent::kTaken) ++taken;
  CHECK(taken > 1);
  CHECK(taken < 100);
}

TEST_CASE_FIXTURE(Fixture, "a forwarded port that is taken, or no address, says so") {
  if (!net) return;
  const HostSocket taken(SOCK_STREAM);
  REQUIRE(listen(taken.fd.get(), 1) == 0);
  const uint16_t port = taken.port;
  const std::string error = error_of({{false, "127.0.0.1", port, 80}});
  CHECK(contains(error, std::to_string(port)));
  CHECK(contains(error, "choose another host port"));
  CHECK(contains(error_of({{false, "localhost", 1, 80}}), "no IPv4 address"));
  CHECK(contains(error_of({}, 100), "use 576 to 65521"));
}

TEST_CASE("a flood of flows leaves the VMM its descriptors, and its neighbours their flows") {
  const DescriptorLimit limit(256);
  Fixture fixture;
  if (!fixture.net) return;
  const HostSocket neighbour(SOCK_DGRAM), flooded(SOCK_DGRAM);
  fixture.send_datagram(neighbour, "before", 1000);
  const Received before = receive_from(neighbour);
  CHECK(before.text == "before");
  for (unsigned port = 2000; port < 6000; ++port) {
    fixture.send_datagram(flooded, "x", static_cast<uint16_t>(port));
  }
  fixture.settle();
  std::vector<base::UniqueFd> own;
  for (int i = 0; i < 60; ++i) own.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(own.back());
  fixture.send_datagram(neighbour, "after", 1000);
  const Received after = receive_from(neighbour);
  CHECK(after.text == "after");
  CHECK(after.from == before.from);
}

TEST_CASE("flows have no more sockets than they may, and idle ones make room for others") {
  Fixture fixture(0, {.host_loopback = true, .limits = {.outgoing = 20, .idle = 0ms}});
  if (!fixture.net) return;
  const HostSocket host(SOCK_DGRAM);
  const timeval soon{0, 10'000};
  setsockopt(host.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
  const size_t before = open_descriptors();
  for (uint16_t port = 2000; port < 2100; ++port) fixture.send_datagram(host, "x", port);
  fixture.settle();
  CHECK(open_descriptors() <= before + 20);
  Received got;
  for (int tries = 0; got.text != "another" && tries < 1000; ++tries) {
    fixture.send_datagram(host, "another", 3000);
    while (!(got = receive_from(host)).text.empty() && got.text != "another") {
    }
  }
  CHECK(got.text == "another");
}

TEST_CASE("callers of a forwarded port wait when there are too many, and the guest does not") {
  Fixture fixture(SOCK_STREAM, {.host_loopback = true, .limits = {.outgoing = 2, .incoming = 3}});
  if (!fixture.net) return;
  fixture.settle();
  const HostSocket host(SOCK_DGRAM);
  std::vector<base::UniqueFd> callers;
  for (int i = 0; i < 8; ++i) callers.push_back(start_connecting(fixture.forwarded));
  const size_t before = open_descriptors();
  std::set<std::pair<uint8_t, uint8_t>> ports;
  while (ports.size() < 3) {
    const Bytes segment = fixture.receive();
    REQUIRE(segment.size() > 47);
    if (segment[23] == IPPROTO_TCP) ports.emplace(segment[34], segment[35]);
  }
  for (int i = 0; i < 10; ++i) fixture.settle();
  CHECK(open_descriptors() <= before + 3);
  fixture.send_datagram(host, "out", 1000);
  CHECK(receive_from(host).text == "out");
}

TEST_CASE("a forwarded UDP port's answers need no socket more") {
  Fixture fixture(SOCK_DGRAM, {.host_loopback = true, .limits = {.outgoing = 0}});
  if (!fixture.net) return;
  fixture.settle();
  const HostSocket host(SOCK_DGRAM);
  fixture.send_datagram(host, "new", 81);
  fixture.send_datagram(host, "an answer", 80);
  CHECK(receive_from(host).text == "an answer");
}

TEST_CASE("the host's loopback is its own unless it was asked for") {
  Fixture fixture(0, {});
  if (!fixture.net) return;
  fixture.settle();
  const HostSocket host(SOCK_DGRAM);
  fixture.send_datagram(host, "hello", 1000);
  const Bytes refusal = fixture.receive();
  REQUIRE(refusal.size() > 34);
  CHECK(refusal[23] == IPPROTO_ICMP);
  CHECK(refusal[34] == 3);  // unreachable
  CHECK(receive_from(host, MSG_DONTWAIT).text.empty());
}

TEST_CASE("an address of the loopback, or another port of the name server, leads nowhere") {
  Fixture fixture(0, {});
  if (!fixture.net) return;
  fixture.settle();
  const HostSocket host(SOCK_DGRAM);
  const auto send_to = [&](std::initializer_list<uint8_t> address) {
    Bytes frame = datagram(host.port, "hello");
    std::copy(address.begin(), address.end(), frame.begin() + 30);
    put16(frame, 24, 0);
    put16(frame, 24, static_cast<uint16_t>(~sum_of(&frame[14], 20)));
    const unsigned pseudo = sum_of(&frame[26], 8) + 17U + static_cast<unsigned>(frame.size() - 34);
    put16(frame, 40, (pseudo & 0xffff) + (pseudo >> 16));
    NetHeader header{};
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.csum_start = 34;
    header.csum_offset = 6;
    fixture.send(frame, header);
  };
  send_to({127, 0, 0, 1});
  send_to({0, 0, 0, 0});
  send_to({10, 0, 2, 3});
  fixture.settle();
  CHECK(receive_from(host, MSG_DONTWAIT).text.empty());
}

// "Is there a router?" (RFC 4861, 4.1), from fe80::1.
Bytes router_solicitation() {
  Bytes frame = {0x33, 0x33, 0, 0, 0, 2, 2,  0,   0, 0, 0, 1, 0x86, 0xdd,        //
                 0x60, 0,    0, 0, 0, 8, 58, 255,                                //
                 0xfe, 0x80, 0, 0, 0, 0, 0,  0,   0, 0, 0, 0, 0,    0,    0, 1,  //
                 0xff, 2,    0, 0, 0, 0, 0,  0,   0, 0, 0, 0, 0,    0,    0, 2,  //
                 133,  0,    0, 0, 0, 0, 0,  0};
  unsigned sum = sum_of(&frame[22], 32) + 8U + 58U;
  sum = (sum & 0xffff) + (sum >> 16) + 133 * 256;
  sum = (sum & 0xffff) + (sum >> 16);
  put16(frame, 56, static_cast<uint16_t>(~sum));
  return frame;
}

TEST_CASE_FIXTURE(Fixture, "there is a router of IPv6, which tells the guest its network") {
  if (!net) return;
  send(router_solicitation());
  Bytes answer;
  do {
    answer = receive();
    REQUIRE(!answer.empty());
  } while (answer[12] != 0x86 || answer.size() < 60 || answer[54] != 134);
  const uint8_t prefix[] = {0xfe, 0xc0, 0, 0, 0, 0, 0, 0};
  CHECK(std::search(answer.begin() + 54, answer.end(), std::begin(prefix), std::end(prefix)) !=
        answer.end());
}

// From fec0::15 to an address and port, with its checksum.
Bytes datagram6(const char* to, uint16_t port, const std::string& text) {
  Bytes frame = {0x52, 0x56, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17, 64};
  frame.resize(62);
  REQUIRE(inet_pton(AF_INET6, "fec0::15", &frame[22]) == 1);
  REQUIRE(inet_pton(AF_INET6, to, &frame[38]) == 1);
  frame.insert(frame.end(), text.begin(), text.end());
  const unsigned udp_bytes = static_cast<unsigned>(8 + text.size());
  put16(frame, 18, udp_bytes);
  put16(frame, 54, 1000);
  put16(frame, 56, port);
  put16(frame, 58, udp_bytes);
  unsigned sum = sum_of(&frame[22], 32) + 17U + udp_bytes;
  sum = (sum & 0xffff) + (sum >> 16) + sum_of(&frame[54], udp_bytes);
  sum = (sum & 0xffff) + (sum >> 16);
  put16(frame, 60, static_cast<uint16_t>(~sum));
  return frame;
}

TEST_CASE("the host's IPv6 loopback is its own unless it was asked for, too") {
  for (const bool asked : {false, true}) {
    CAPTURE(asked);
    Fixture fixture(0, {.host_loopback = asked});
    if (!fixture.net) return;
    const base::UniqueFd host(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    if (bind(host.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return;
    socklen_t length = sizeof address;
    getsockname(host.get(), reinterpret_cast<sockaddr*>(&address), &length);
    const timeval patience{5, 0};
    setsockopt(host.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (const char* to : {"::1", "::ffff:127.0.0.1", "fec0::3", "fec0::9", "fec0::2"}) {
      fixture.send(datagram6(to, ntohs(address.sin6_port), to));
    }
    fixture.settle();
    char got[40]{};
    std::set<std::string> arrived;
    while (recv(host.get(), got, sizeof got - 1, asked && arrived.empty() ? 0 : MSG_DONTWAIT) > 0) {
      arrived.insert(got);
      std::memset(got, 0, sizeof got);
    }
    CHECK(arrived.empty() == !asked);
    CHECK(arrived.count("fec0::3") == 0);
  }
}

}  // namespace vmm::test
