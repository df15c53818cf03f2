// SPDX-License-Identifier: GPL-2.0-only
#include "backend/tap.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "unprivileged.hpp"

namespace vmm::test {
namespace {

using backend::NetHeader;
using backend::Tap;
using namespace std::chrono_literals;

constexpr uint16_t kEtherType = 0x88b5;  // for experiments (IEEE 802)

std::string error_of(const std::string& name, uint16_t pairs = 1, const std::string& host = "") {
  base::EventLoop loop;
  try {
    const Tap tap(loop, name, pairs, host);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Each test has its own tap, or none where making one is not permitted.
struct Fixture {
  explicit Fixture(uint16_t pairs = 1) {
    try {
      tap = std::make_unique<Tap>(loop, "tkvmtest%d", pairs, "");
    } catch (const base::ConfigError& error) {
      MESSAGE("not tested here: " << error.what());
      return;
    }
    wire = base::UniqueFd(
        socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(kEtherType)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEtherType);
    address.sll_ifindex = static_cast<int>(if_nametoindex(tap->name().c_str()));
    if (bind(wire.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
      MESSAGE("not tested here: no packet socket");
      tap.reset();
    }
  }

  static std::string frame(const std::string& text) {
    std::string bytes(12, '\xff');
    bytes += static_cast<char>(kEtherType >> 8);
    bytes += static_cast<char>(kEtherType & 0xff);
    return bytes + text + std::string(60 - text.size(), '\0');
  }

  base::EventLoop loop;
  std::unique_ptr<Tap> tap;
  base::UniqueFd wire;
};

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a tap carries frames both ways with the header in front") {
  if (!tap) return;
  std::string sent = frame("from the guest");
  const NetHeader header{};
  const iovec piece{sent.data(), sent.size()};
  CHECK(tap->send(0, header, std::span(&piece, 1)) == backend::Sent::kTaken);
  std::string got(2000, '\0');
  ssize_t length = -1;
  REQUIRE(eventually([&] {
    length = recv(wire.get(), got.data(), got.size(), 0);
    return length >= 0;
  }));
  CHECK(got.substr(0, static_cast<size_t>(length)) == sent);

  const std::string answer = frame("for the guest");
  REQUIRE(send(wire.get(), answer.data(), answer.size(), 0) == static_cast<ssize_t>(answer.size()));
  // The host may have sent other frames, such as a router solicitation.
  REQUIRE(eventually([&] {
    const auto seen = tap->peek(0);
    if (seen.size() == sizeof(NetHeader) + answer.size() &&
        std::memcmp(seen.data() + sizeof(NetHeader), answer.data(), answer.size()) == 0) {
      return true;
    }
    if (!seen.empty()) tap->consume(0);
    return false;
  }));
  CHECK(tap->peek(0).size() == sizeof(NetHeader) + answer.size());
}

TEST_CASE_FIXTURE(Fixture, "a tap says when there is something to receive, until it is stopped") {
  if (!tap) return;
  std::atomic<int> calls = 0;
  tap->start([&](uint16_t pair) { calls += pair == 0 ? 1 : 1000; });
  const std::string bytes = frame("hello");
  REQUIRE(send(wire.get(), bytes.data(), bytes.size(), 0) > 0);
  CHECK(eventually([&] { return calls > 0; }));
  tap->stop();
  const int before = calls;
  while (!tap->peek(0).empty()) tap->consume(0);
  REQUIRE(send(wire.get(), bytes.data(), bytes.size(), 0) > 0);
  std::this_thread::sleep_for(20ms);
  CHECK(calls == before);
}

TEST_CASE_FIXTURE(Fixture, "a header that makes no sense loses its frame and nothing else") {
  if (!tap) return;
  std::string bytes = frame("x");
  const iovec piece{bytes.data(), bytes.size()};
  NetHeader header{};
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 0xffff;
  CHECK(tap->send(0, header, std::span(&piece, 1)) == backend::Sent::kTaken);
  header = {};
  header.gso_type = 0x77;
  CHECK(tap->send(0, header, std::span(&piece, 1)) == backend::Sent::kTaken);
  const iovec nothing{bytes.data(), 0};
  CHECK(tap->send(0, {}, std::span(&nothing, 1)) == backend::Sent::kTaken);
  CHECK(tap->send(0, {}, std::span(&piece, 1)) == backend::Sent::kTaken);
  std::string got(2000, '\0');
  CHECK(eventually([&] { return recv(wire.get(), got.data(), got.size(), 0) > 0; }));
  CHECK(recv(wire.get(), got.data(), got.size(), 0) < 0);
}

TEST_CASE("a tap with several queues attaches those in use") {
  Fixture fixture(4);
  if (!fixture.tap) return;
  Tap& tap = *fixture.tap;
  CHECK(tap.traits().max_queue_pairs == 4);
  for (const uint16_t count : {4, 2, 3, 1}) tap.set_queue_pairs(count);
  tap.set_offloads({.checksum = true, .tso4 = true, .tso6 = true, .ecn = true});
  tap.set_offloads({.checksum = false, .tso4 = true, .tso6 = false, .ecn = false});
  tap.set_queue_pairs(4);
  std::string bytes = Fixture::frame("by the last");
  const iovec piece{bytes.data(), bytes.size()};
  CHECK(tap.send(3, {}, std::span(&piece, 1)) == backend::Sent::kTaken);
  std::string got(2000, '\0');
  CHECK(eventually([&] { return recv(fixture.wire.get(), got.data(), got.size(), 0) > 0; }));
}

TEST_CASE_FIXTURE(Fixture, "an interface that is in use, or made otherwise, says so") {
  if (!tap) return;
  CHECK(contains(error_of(tap->name()), "another program has it open"));
  CHECK(contains(error_of(tap->name()), tap->name()));
}

TEST_CASE("a tap that this user may not make says who can") {
  const Unprivileged user;
  const std::string error = error_of("tkvmtest-denied");
  CHECK(contains(error, "tap tkvmtest-denied: "));
  CHECK(contains(error, "for this user"));
}

TEST_CASE("bad names, addresses and counts are refused with the hint") {
  CHECK(contains(error_of(""), "1 to 15 characters"));
  CHECK(contains(error_of("far-too-long-for-an-interface"), "1 to 15 characters"));
  CHECK(contains(error_of("a/b"), "no name of an interface"));
  CHECK(contains(error_of("tap0", 0), "use 1 to 8"));
  CHECK(contains(error_of("tap0", 9), "use 1 to 8"));
}

TEST_CASE("a file that is no tap is refused") {
  base::EventLoop loop;
  std::vector<base::UniqueFd> files;
  files.emplace_back(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_THROWS_AS(Tap(loop, std::move(files)), base::ConfigError);
}

TEST_CASE_FIXTURE(Fixture, "a bad host address is refused with the form to use") {
  if (!tap) return;
  tap.reset();
  for (const char* address : {"10.9.0", "10.9.0.1/33", "10.9.0.1/x", "10.9.0.1/"}) {
    CHECK(contains(error_of("tkvmtest%d", 1, address), "192.168.7.1/24"));
  }
  CHECK(error_of("tkvmtest%d", 1, "192.0.2.1/30") == "");
}

}  // namespace vmm::test
