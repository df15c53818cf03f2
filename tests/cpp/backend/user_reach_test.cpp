// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_reach.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace vmm::backend {
namespace {

using Frame = std::vector<std::byte>;

void put(Frame& frame, size_t at, std::initializer_list<unsigned> values) {
  for (const unsigned value : values) frame[at++] = static_cast<std::byte>(value);
}

// A frame to this address and port, by IPv4 or IPv6.
Frame to(const char* address, unsigned port = 80, unsigned protocol = IPPROTO_UDP) {
  Frame frame(80);
  const bool ipv6 = std::strchr(address, ':') != nullptr;
  if (ipv6) {
    put(frame, 12, {0x86, 0xdd, 0x60});
    put(frame, 20, {protocol});
  } else {
    put(frame, 12, {0x08, 0x00, 0x45});
    put(frame, 23, {protocol});
  }
  REQUIRE(inet_pton(ipv6 ? AF_INET6 : AF_INET, address, &frame[ipv6 ? 38 : 30]) == 1);
  put(frame, ipv6 ? 56 : 36, {port >> 8, port & 0xff});
  return frame;
}

std::string refusal(const std::string& network) {
  try {
    const UserReach reach(false, {network});
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the world is reached, and the loopback only where it was asked for") {
  const UserReach reach(false, {}), with_loopback(true, {});
  for (const char* address : {"93.184.216.34", "10.0.2.2", "255.255.255.255", "128.0.0.1",
                              "2001:db8::1", "fec0::2", "ff02::1:ff00:2"}) {
    CAPTURE(address);
    CHECK(reach.leads(to(address)));
  }
  for (const char* address : {"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::1", "::"}) {
    CAPTURE(address);
    CHECK_FALSE(reach.leads(to(address)));
    CHECK(with_loopback.leads(to(address)));
  }
  // A socket would treat it as the IPv4 address.
  CHECK_FALSE(reach.leads(to("::ffff:127.0.0.1")));
  CHECK_FALSE(with_loopback.leads(to("::ffff:10.0.2.3")));
}

TEST_CASE("a network that is closed is, and its neighbours are not") {
  const UserReach reach(true, {"198.51.100.0/24", "10.128.0.0/9", "192.0.2.7", "2001:db8:1::/48"});
  for (const char* address :
       {"198.51.100.0", "198.51.100.255", "10.200.1.1", "192.0.2.7", "2001:db8:1:ffff::1"}) {
    CAPTURE(address);
    CHECK_FALSE(reach.leads(to(address)));
    CHECK_FALSE(reach.leads(to(address, 0, IPPROTO_ICMP)));
  }
  for (const char* address : {"198.51.101.0", "10.127.1.1", "192.0.2.6", "2001:db8:2::1"}) {
    CAPTURE(address);
    CHECK(reach.leads(to(address)));
  }
  // Each fragment has the datagram's address.
  Frame fragment = to("198.51.100.2");
  fragment[21] = std::byte{1};
  CHECK_FALSE(reach.leads(fragment));
  for (const char* text :
       {"", "198.51.100.0/33", "198.51.100.0/", "198.51.100.0/2x", "home", "2001:db8::/129"}) {
    CAPTURE(text);
    CHECK(refusal(text).find("is no network") != std::string::npos);
  }
}

TEST_CASE("who calls from a closed network is answered, and nobody else there") {
  UserReach reach(true, {"198.51.100.0/24"});
  const auto from_guest = [](unsigned protocol, unsigned port, unsigned guest_port) {
    Frame frame = to("198.51.100.2", port, protocol);
    put(frame, 34, {guest_port >> 8, guest_port & 0xff});
    return frame;
  };
  const auto to_guest = [](unsigned port, unsigned guest_port) {
    Frame frame = to("10.0.2.15", guest_port);
    put(frame, 26, {198, 51, 100, 2});
    put(frame, 34, {port >> 8, port & 0xff});
    return frame;
  };
  CHECK_FALSE(reach.leads(from_guest(IPPROTO_UDP, 7000, 53)));
  reach.called(to_guest(7000, 53));
  CHECK(reach.leads(from_guest(IPPROTO_UDP, 7000, 53)));
  CHECK_FALSE(reach.leads(from_guest(IPPROTO_UDP, 7001, 53)));
  CHECK_FALSE(reach.leads(from_guest(IPPROTO_UDP, 7000, 54)));
  Frame segment = from_guest(IPPROTO_TCP, 7000, 80);
  CHECK(reach.leads(segment));
  segment[47] = std::byte{0x12};  // SYN and ACK: the answer to a caller
  CHECK(reach.leads(segment));
  segment[47] = std::byte{0x02};
  CHECK_FALSE(reach.leads(segment));
  for (unsigned port = 1; port <= UserReach::kMaxCallers; ++port) reach.called(to_guest(port, 53));
  CHECK_FALSE(reach.leads(from_guest(IPPROTO_UDP, 7000, 53)));
  CHECK(reach.leads(from_guest(IPPROTO_UDP, 1, 53)));
}

TEST_CASE("a name server answers questions for names, and leads to nothing else of its machine") {
  const UserReach reach(true, {});
  for (const char* address : {"10.0.2.3", "fec0::3"}) {
    CAPTURE(address);
    CHECK(reach.leads(to(address, 53)));
    CHECK(reach.leads(to(address, 53, IPPROTO_TCP)));
    CHECK(reach.leads(to(address, 22, IPPROTO_ICMP)));
    CHECK_FALSE(reach.leads(to(address, 22)));
    CHECK_FALSE(reach.leads(to(address, 22, IPPROTO_TCP)));
  }
  Frame fragment = to("10.0.2.3", 53);
  fragment[20] = std::byte{0x20};
  CHECK_FALSE(reach.leads(fragment));
}

TEST_CASE("what is no IP, or no whole frame, is the library's to look at") {
  const UserReach reach(false, {});
  Frame arp(60);
  put(arp, 12, {0x08, 0x06});
  CHECK(reach.leads(arp));
  CHECK(reach.leads({}));
  for (size_t size = 0; size < 14; ++size) {
    Frame cut = to("127.0.0.1");
    cut.resize(size);
    CHECK(reach.leads(cut));
  }
}

}  // namespace vmm::backend
