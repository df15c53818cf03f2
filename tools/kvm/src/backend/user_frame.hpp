// SPDX-License-Identifier: GPL-2.0-only
//
// The source and destination of a guest's frame on a user network, as far as UserFlows and
// UserReach need them. The guest may send anything: bytes past the frame's end are read as zero,
// and the library drops such a frame. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vmm::backend {

// An IPv4 address is mapped as in RFC 4291 (2.5.5.2).
using IpAddress = std::array<uint8_t, 16>;

IpAddress mapped(uint32_t ipv4);  // in host byte order

struct UserFrame {
  enum class Kind { kOther, kIpv4, kIpv6 };

  Kind kind = Kind::kOther;
  IpAddress guest{};
  IpAddress host{};
  // A fragment; the fields below are then unset, as not every fragment has them.
  bool fragment = false;
  uint8_t protocol = 0;
  uint16_t guest_port = 0;
  uint16_t host_port = 0;
  uint8_t first_byte = 0;  // after the IP header: the ICMP type
  uint8_t tcp_flags = 0;
};

// Whether libslirp opens a socket for this segment if its flow has none.
bool opens_tcp(const UserFrame& frame);

UserFrame parse_user_frame(std::span<const std::byte> frame);

}  // namespace vmm::backend
