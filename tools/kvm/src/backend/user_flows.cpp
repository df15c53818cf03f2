// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_flows.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/descriptor_reserve.hpp"

namespace vmm::backend {
namespace {

constexpr uint8_t kEchoRequest = 8;  // RFC 792

struct Effect {
  bool needs_socket = false;
  std::optional<Flow> flow;
};

Effect effect_of(const UserFrame& frame) {
  if (frame.kind == UserFrame::Kind::kOther) return {};
  // The last fragment completes a datagram, and only the first has its ports.
  if (frame.fragment) return {true, std::nullopt};
  Flow flow{frame.protocol, frame.guest, {}, frame.guest_port, 0};
  switch (frame.protocol) {
    case IPPROTO_ICMP:  // the library answers ICMPv6 itself
      return {frame.first_byte == kEchoRequest, std::nullopt};
    case IPPROTO_UDP:
      return {true, flow};
    case IPPROTO_TCP:
      flow.host = frame.host;
      flow.host_port = frame.host_port;
      return {opens_tcp(frame), flow};
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
  const Effect effect = effect_of(parse_user_frame(frame));
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
  closed(fd);  // the library may have closed it without a report
  const Socket socket{!feeding_, feeding_ ? fed_ : std::nullopt};
  if (socket.incoming) ++incoming_;
  if (socket.flow) known_.insert(*socket.flow);
  sockets_.emplace(fd, socket);
}

void UserFlows::closed(int fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end()) return;  // a forwarded port's, or unknown
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
