// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_flows.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/descriptor_reserve.hpp"

namespace vmm::backend {
namespace {

constexpr size_t kTypeAt = 12;  // in an Ethernet frame
constexpr size_t kIpAt = 14;
constexpr uint32_t kTypeIpv4 = 0x0800;
// RFC 791, 3.1: "more fragments" and the offset.
constexpr uint32_t kFragment = 0x3fff;
constexpr uint32_t kEchoRequest = 8;  // RFC 792
// RFC 9293, 3.1; libslirp opens a socket for a segment that has SYN alone of these.
constexpr uint32_t kFin = 1 << 0, kSyn = 1 << 1, kRst = 1 << 2, kAck = 1 << 4, kUrg = 1 << 5;

// A number in network order; zero where the frame ends before it, which the library drops then.
uint32_t number(std::span<const std::byte> frame, size_t at, size_t bytes) {
  uint32_t value = 0;
  if (at + bytes > frame.size()) return value;
  for (const std::byte one : frame.subspan(at, bytes)) {
    value = value << 8 | std::to_integer<uint32_t>(one);
  }
  return value;
}

struct Effect {
  bool needs_socket = false;
  std::optional<Flow> flow;
};

Effect effect_of(std::span<const std::byte> frame) {
  if (number(frame, kTypeAt, 2) != kTypeIpv4) return {};
  // The last fragment makes a datagram whole, and only the first has its ports.
  if ((number(frame, kIpAt + 6, 2) & kFragment) != 0) return {true, std::nullopt};
  const size_t inner = kIpAt + 4 * size_t{number(frame, kIpAt, 1) & 0xf};
  Flow flow{static_cast<uint8_t>(number(frame, kIpAt + 9, 1)), number(frame, kIpAt + 12, 4), 0,
            static_cast<uint16_t>(number(frame, inner, 2)), 0};
  switch (flow.protocol) {
    case IPPROTO_ICMP:
      return {number(frame, inner, 1) == kEchoRequest, std::nullopt};
    case IPPROTO_UDP:
      return {true, flow};
    case IPPROTO_TCP:
      flow.host = number(frame, kIpAt + 16, 4);
      flow.host_port = static_cast<uint16_t>(number(frame, inner + 2, 2));
      return {(number(frame, inner + 13, 1) & (kFin | kSyn | kRst | kAck | kUrg)) == kSyn, flow};
    default:
      return {};
  }
}

bool listens(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

}  // namespace

bool UserFlows::admit(std::span<const std::byte> frame) {
  const Effect effect = effect_of(frame);
  const bool known = effect.flow && known_.contains(*effect.flow);
  if (effect.needs_socket && !known) {
    if (outgoing() >= limits_.outgoing || !base::has_spare_descriptor()) return false;
  }
  feeding_ = true;
  fed_ = effect.flow;
  return true;
}

void UserFlows::settle() { feeding_ = false; }

void UserFlows::opened(int fd) {
  if (fd < 0) return;
  closed(fd);  // where the library gave one up without a word
  const Socket socket{!feeding_, feeding_ ? fed_ : std::nullopt};
  if (socket.incoming) ++incoming_;
  if (socket.flow) known_.insert(*socket.flow);
  sockets_.emplace(fd, socket);
}

void UserFlows::closed(int fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end()) return;  // a forwarded port's, or none
  const Socket& socket = found->second;
  if (socket.incoming) --incoming_;
  if (socket.flow) known_.erase(known_.find(*socket.flow));
  sockets_.erase(found);
}

bool UserFlows::may_poll(int fd) const {
  if (sockets_.contains(fd) || !listens(fd)) return true;
  return incoming_ < limits_.incoming && base::has_spare_descriptor();
}

}  // namespace vmm::backend
