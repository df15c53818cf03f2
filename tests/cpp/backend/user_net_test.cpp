// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_net.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backend/net_checksum.hpp"
#include "base/error.hpp"

namespace vmm::test {
namespace {

using backend::NetHeader;
using backend::PortForward;
using backend::Sent;
using backend::UserNet;
using namespace std::chrono_literals;

using Bytes = std::vector<uint8_t>;

constexpr Bytes::value_type kGuestMac[6] = {2, 0, 0, 0, 0, 1};

// "Who has 10.0.2.2? Tell 10.0.2.15."
Bytes arp_request() {
  Bytes frame = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06,
                 0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0, 0, 0,    1,
                 10,   0,    2,    15,   0,    0,    0, 0, 0, 0, 10, 0, 2,   2};
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

// A datagram to a port of the router's, whose UDP checksum has the pseudo header's part alone.
Bytes datagram(uint16_t port, const std::string& text) {
  Bytes frame = {0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00,
                 0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,
                 0x30, 0x39, 0, 0, 0, 0, 0, 0};
  const size_t udp_bytes = 8 + text.size();
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

// A socket of the host's at a port that was free.
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

std::string error_of(const std::vector<PortForward>& forwards, uint16_t mtu) {
  try {
    const UserNet net(forwards, mtu);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Fixture {
  explicit Fixture(bool forward = false) {
    std::vector<PortForward> forwards;
    if (forward) {
      forwarded = HostSocket(SOCK_DGRAM).port;
      forwards.push_back({true, "127.0.0.1", forwarded, 80});
    }
    try {
      net = std::make_unique<UserNet>(forwards);
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
  send(datagram(host.port, "left undone"), header);  // and nobody is told: the library drops it
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 34;
  header.csum_offset = 6;
  send(datagram(host.port, "an odd number of bytes."), header);
  std::string got(100, '\0');
  const ssize_t length = recv(host.fd.get(), got.data(), got.size(), 0);
  CHECK(got.substr(0, length > 0 ? static_cast<size_t>(length) : 0) == "an odd number of bytes.");
}

TEST_CASE("a forwarded port leads to the guest") {
  Fixture fixture(true);
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
  Bytes ip(64, 0xff);  // an IPv4 header whose lengths are nonsense
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
  const std::string error = error_of({{false, "127.0.0.1", port, 80}}, UserNet::kDefaultMtu);
  CHECK(contains(error, std::to_string(port)));
  CHECK(contains(error, "choose another host port"));
  CHECK(contains(error_of({{false, "localhost", 1, 80}}, UserNet::kDefaultMtu), "no IPv4 address"));
  CHECK(contains(error_of({}, 100), "use 576 to 65521"));
}

}  // namespace vmm::test
