// SPDX-License-Identifier: GPL-2.0-only
//
// What a frame of a guest's on a user network says of where it is from and where it goes, as far as
// UserFlows and UserReach want to know. The guest may have put anything there: what lies behind the
// frame's end is read as zero, and the library drops such a frame. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vmm::backend {

// An IPv4 address is mapped, as RFC 4291 has it (2.5.5.2).
using IpAddress = std::array<uint8_t, 16>;

IpAddress mapped(uint32_t ipv4);  // in the host's order of bytes

struct UserFrame {
  enum class Kind { kOther, kIpv4, kIpv6 };

  Kind kind = Kind::kOther;
  IpAddress guest{};
  IpAddress host{};
  // The rest is not in every fragment, and so in none.
  bool fragment = false;
  uint8_t protocol = 0;
  uint16_t guest_port = 0;
  uint16_t host_port = 0;
  uint8_t first_byte = 0;  // behind the IP header: ICMP's type
  uint8_t tcp_flags = 0;
};

// Whether libslirp opens a socket for this segment, if it has none for its flow.
bool opens_tcp(const UserFrame& frame);

UserFrame parse_user_frame(std::span<const std::byte> frame);

}  // namespace vmm::backend
