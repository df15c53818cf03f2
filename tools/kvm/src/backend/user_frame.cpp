// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_frame.hpp"

#include <netinet/in.h>

namespace vmm::backend {
namespace {

constexpr size_t kTypeAt = 12;  // in an Ethernet frame
constexpr size_t kIpAt = 14;
constexpr uint32_t kTypeIpv4 = 0x0800, kTypeIpv6 = 0x86dd;
// RFC 791, 3.1: "more fragments" and the offset.
constexpr uint32_t kFragment = 0x3fff;
// RFC 8200, 3. The library does not support extension headers.
constexpr size_t kIpv6HeaderBytes = 40;
// RFC 9293, 3.1; libslirp opens a socket for a segment with only SYN among these.
constexpr uint32_t kFin = 1 << 0, kSyn = 1 << 1, kRst = 1 << 2, kAck = 1 << 4, kUrg = 1 << 5;

// Reads a number in network order; zero past the frame's end.
uint32_t number(std::span<const std::byte> frame, size_t at, size_t bytes) {
  uint32_t value = 0;
  if (at + bytes > frame.size()) return value;
  for (const std::byte one : frame.subspan(at, bytes)) {
    value = value << 8 | std::to_integer<uint32_t>(one);
  }
  return value;
}

IpAddress address6(std::span<const std::byte> frame, size_t at) {
  IpAddress address;
  for (size_t i = 0; i < address.size(); ++i) {
    address[i] = static_cast<uint8_t>(number(frame, at + i, 1));
  }
  return address;
}

void read_inner(std::span<const std::byte> frame, size_t at, UserFrame& into) {
  into.guest_port = static_cast<uint16_t>(number(frame, at, 2));
  into.host_port = static_cast<uint16_t>(number(frame, at + 2, 2));
  into.first_byte = static_cast<uint8_t>(number(frame, at, 1));
  into.tcp_flags = static_cast<uint8_t>(number(frame, at + 13, 1));
}

}  // namespace

IpAddress mapped(uint32_t ipv4) {
  IpAddress address{};
  address[10] = address[11] = 0xff;
  for (size_t i = 0; i < 4; ++i) address[12 + i] = static_cast<uint8_t>(ipv4 >> (24 - 8 * i));
  return address;
}

bool opens_tcp(const UserFrame& frame) {
  return frame.protocol == IPPROTO_TCP &&
         (frame.tcp_flags & (kFin | kSyn | kRst | kAck | kUrg)) == kSyn;
}

UserFrame parse_user_frame(std::span<const std::byte> frame) {
  UserFrame found;
  const uint32_t type = number(frame, kTypeAt, 2);
  if (type == kTypeIpv4) {
    found.kind = UserFrame::Kind::kIpv4;
    found.guest = mapped(number(frame, kIpAt + 12, 4));
    found.host = mapped(number(frame, kIpAt + 16, 4));
    found.fragment = (number(frame, kIpAt + 6, 2) & kFragment) != 0;
    if (found.fragment) return found;
    found.protocol = static_cast<uint8_t>(number(frame, kIpAt + 9, 1));
    read_inner(frame, kIpAt + 4 * size_t{number(frame, kIpAt, 1) & 0xf}, found);
  } else if (type == kTypeIpv6) {
    found.kind = UserFrame::Kind::kIpv6;
    found.guest = address6(frame, kIpAt + 8);
    found.host = address6(frame, kIpAt + 24);
    found.protocol = static_cast<uint8_t>(number(frame, kIpAt + 6, 1));
    read_inner(frame, kIpAt + kIpv6HeaderBytes, found);
  }
  return found;
}

}  // namespace vmm::backend
