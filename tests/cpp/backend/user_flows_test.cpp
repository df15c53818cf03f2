// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_flows.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <vector>

#include "base/unique_fd.hpp"
#include "descriptor_limit.hpp"

namespace vmm::backend {
namespace {

using Frame = std::vector<std::byte>;

constexpr unsigned kSyn = 0x02, kSynAck = 0x12;

// IPv4 without options; `at_13` is TCP's flags, `first` the first byte after the IP header.
Frame frame(unsigned protocol, unsigned port, unsigned at_13 = 0, unsigned first = 0) {
  Frame bytes(60);
  const auto put = [&](size_t at, unsigned value) { bytes[at] = static_cast<std::byte>(value); };
  put(12, 0x08);
  put(14, 0x45);
  put(23, protocol);
  put(34, first != 0 ? first : port >> 8);
  put(35, port & 0xff);
  put(47, at_13);
  return bytes;
}

Frame udp(unsigned port) { return frame(IPPROTO_UDP, port); }

// Acts like UserNet and the library; true if the frame was admitted.
bool pass(UserFlows& flows, const Frame& bytes, int opens = -1) {
  if (!flows.admit(bytes)) return false;
  flows.opened(opens);
  flows.settle();
  return true;
}

}  // namespace

TEST_CASE("a flow that has a socket goes on when there is none for another") {
  UserFlows flows({.outgoing = 2});
  CHECK(pass(flows, udp(1), 1001));
  CHECK(pass(flows, udp(2), 1002));
  CHECK(flows.outgoing() == 2);
  CHECK_FALSE(pass(flows, udp(3)));
  CHECK(pass(flows, udp(1)));
  flows.closed(1001);
  CHECK(pass(flows, udp(3), 1001));
  CHECK_FALSE(pass(flows, udp(1)));
  CHECK(pass(flows, udp(2)));
}

TEST_CASE("only frames that open a socket wait for one") {
  UserFlows flows({.outgoing = 1});
  CHECK(pass(flows, frame(IPPROTO_TCP, 9, kSyn), 1001));
  CHECK(pass(flows, frame(IPPROTO_TCP, 9, kSyn)));  // sent again
  CHECK_FALSE(pass(flows, frame(IPPROTO_TCP, 8, kSyn)));
  CHECK_FALSE(pass(flows, frame(IPPROTO_UDP, 9)));
  CHECK(pass(flows, frame(IPPROTO_TCP, 8, kSynAck)));
  CHECK(pass(flows, frame(IPPROTO_TCP, 8)));
  CHECK(pass(flows, frame(IPPROTO_ICMP, 0, 0, 3)));  // unreachable
  CHECK(pass(flows, frame(IPPROTO_IGMP, 1)));
  CHECK_FALSE(pass(flows, frame(IPPROTO_ICMP, 0, 0, 8)));  // an echo request
  Frame arp(60);
  arp[12] = std::byte{0x08};
  arp[13] = std::byte{0x06};
  CHECK(pass(flows, arp));
  Frame fragment = frame(IPPROTO_TCP, 8);
  fragment[21] = std::byte{1};
  CHECK_FALSE(pass(flows, fragment));
}

TEST_CASE("flows by IPv6 are counted with the others, and told apart from them") {
  const auto frame6 = [](unsigned protocol, unsigned port, unsigned flags = 0) {
    Frame bytes(80);
    const auto put = [&](size_t at, unsigned value) { bytes[at] = static_cast<std::byte>(value); };
    put(12, 0x86);
    put(13, 0xdd);
    put(20, protocol);
    put(37, 0x15);  // the guest's address
    put(54, port >> 8);
    put(55, port & 0xff);
    put(67, flags);
    return bytes;
  };
  UserFlows flows({.outgoing = 2});
  CHECK(pass(flows, udp(9), 1001));
  CHECK(pass(flows, frame6(IPPROTO_UDP, 9), 1002));
  CHECK(flows.outgoing() == 2);
  CHECK(pass(flows, frame6(IPPROTO_UDP, 9)));
  CHECK(pass(flows, udp(9)));
  CHECK_FALSE(pass(flows, frame6(IPPROTO_UDP, 10)));
  CHECK_FALSE(pass(flows, frame6(IPPROTO_TCP, 9, kSyn)));
  CHECK(pass(flows, frame6(IPPROTO_TCP, 9, kSynAck)));
  CHECK(pass(flows, frame6(IPPROTO_ICMPV6, 0x8000)));
  flows.closed(1001);
  CHECK(pass(flows, frame6(IPPROTO_TCP, 9, kSyn), 1003));
  CHECK(pass(flows, frame6(IPPROTO_TCP, 9, kSyn)));
  CHECK_FALSE(pass(flows, udp(9)));
}

TEST_CASE("frames that end too soon are read no further") {
  UserFlows flows({.outgoing = 0});
  for (size_t size = 0; size < 60; ++size) {
    Frame cut = frame(IPPROTO_TCP, 9, kSyn);
    cut[14] = std::byte{0x4f};
    cut.resize(size);
    CHECK(pass(flows, cut));
  }
}

TEST_CASE("the library's failures and forgetting count for nothing") {
  UserFlows flows({.outgoing = 1});
  CHECK(pass(flows, udp(1), -1));
  CHECK(flows.outgoing() == 0);
  flows.closed(77);
  CHECK(pass(flows, frame(IPPROTO_ICMP, 0, 0, 8), 1001));
  CHECK(pass(flows, udp(2)) == false);
  flows.opened(1001);  // the same descriptor, from a connection to a forwarded port
  CHECK(flows.outgoing() == 0);
  CHECK(flows.incoming() == 1);
}

TEST_CASE("a port that listens rests while there are too many connections") {
  UserFlows flows({.incoming = 1});
  const base::UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const base::UniqueFd other(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE(listen(listener.get(), 1) == 0);
  CHECK(flows.may_poll(listener.get()));
  flows.opened(1001);
  CHECK_FALSE(flows.may_poll(listener.get()));
  CHECK(flows.may_poll(other.get()));
  CHECK(flows.may_poll(1001));
  flows.closed(1001);
  CHECK(flows.may_poll(listener.get()));
}

TEST_CASE("nothing is opened for a guest with the VMM's last descriptors") {
  const test::DescriptorLimit limit(128);
  UserFlows flows({});
  std::vector<base::UniqueFd> taken;
  while (pass(flows, udp(static_cast<unsigned>(taken.size())))) {
    taken.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(taken.back());
    flows.opened(taken.back().get());
  }
  CHECK(taken.size() < 64);
  CHECK(base::UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)));
}

}  // namespace vmm::backend
