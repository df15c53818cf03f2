// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_reach.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include "backend/user_net.hpp"
#include "base/error.hpp"

namespace vmm::backend {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr size_t kMappedBits = 96;

IpAddress parse_address(int family, const char* text, bool& known) {
  IpAddress address{};
  in_addr ipv4{};
  known = inet_pton(family, text, family == AF_INET ? static_cast<void*>(&ipv4) : &address) == 1;
  return family == AF_INET ? mapped(ntohl(ipv4.s_addr)) : address;
}

bool is_name_server(const IpAddress& address) {
  static bool known;
  static const IpAddress ipv4 = parse_address(AF_INET, UserNet::kNameServer, known);
  static const IpAddress ipv6 = parse_address(AF_INET6, UserNet::kNameServer6, known);
  return address == ipv4 || address == ipv6;
}

// Only unfragmented queries to the name server's port, and ICMP, are allowed: the library passes
// queries on to a machine that may be this host.
bool asks_for_names(const UserFrame& frame) {
  if (frame.fragment) return false;
  const bool ports = frame.protocol == IPPROTO_UDP || frame.protocol == IPPROTO_TCP;
  return !ports || frame.host_port == kDnsPort;
}

}  // namespace

UserReach::UserReach(bool loopback, const std::vector<std::string>& closed) {
  for (const std::string& network : closed) closed_.push_back(parse(network));
  if (loopback) return;
  // "This host" (RFC 1122, 3.2.1.3) also leads to the loopback in connect(2).
  for (const char* network : {"127.0.0.0/8", "0.0.0.0/8", "::/96"}) {
    closed_.push_back(parse(network));
  }
}

bool UserReach::leads(std::span<const std::byte> frame) const {
  const UserFrame found = parse_user_frame(frame);
  if (found.kind == UserFrame::Kind::kOther) return true;
  // An IPv4-mapped address never appears on a wire, but a socket would treat it as IPv4.
  static const Network mapped_ones{mapped(0), kMappedBits};
  if (found.kind == UserFrame::Kind::kIpv6 && mapped_ones.contains(found.host)) return false;
  if (is_name_server(found.host)) return asks_for_names(found);
  if (!closed(found.host)) return true;
  if (found.protocol == IPPROTO_TCP) return !opens_tcp(found);
  const Caller caller{found.host, found.host_port, found.guest_port};
  return found.protocol == IPPROTO_UDP && std::ranges::find(callers_, caller) != callers_.end();
}

void UserReach::called(std::span<const std::byte> frame) {
  const UserFrame found = parse_user_frame(frame);  // its `guest` fields describe the host here
  if (found.protocol != IPPROTO_UDP || !closed(found.guest)) return;
  const Caller caller{found.guest, found.guest_port, found.host_port};
  std::erase(callers_, caller);
  callers_.push_back(caller);
  if (callers_.size() > kMaxCallers) callers_.pop_front();
}

bool UserReach::closed(const IpAddress& address) const {
  return std::ranges::any_of(closed_, [&](const auto& one) { return one.contains(address); });
}

bool UserReach::Network::contains(const IpAddress& other) const {
  const size_t bytes = bits / 8, rest = bits % 8;
  if (!std::equal(address.begin(), address.begin() + static_cast<std::ptrdiff_t>(bytes),
                  other.begin())) {
    return false;
  }
  return rest == 0 || (address[bytes] ^ other[bytes]) >> (8 - rest) == 0;
}

UserReach::Network UserReach::parse(const std::string& text) {
  const size_t slash = text.find('/');
  const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const size_t most = family == AF_INET ? 32 : 128;
  bool known = false;
  const IpAddress address = parse_address(family, text.substr(0, slash).c_str(), known);
  size_t bits = most;
  if (known && slash != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
    known = error == std::errc{} && stop == end && bits <= most;
  }
  if (!known) throw base::ConfigError(text + " is no network; write it like 198.51.100.0/24");
  return {address, family == AF_INET ? kMappedBits + bits : bits};
}

}  // namespace vmm::backend
