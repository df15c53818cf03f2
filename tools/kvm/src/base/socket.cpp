// SPDX-License-Identifier: GPL-2.0-only
#include "base/socket.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace vmm::base {
namespace {

// The kernel only reads the pieces, but the field is not const.
msghdr message_of(std::span<const iovec> pieces) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  return message;
}

}  // namespace

ssize_t send_some(int fd, std::span<const iovec> pieces) {
  const msghdr message = message_of(pieces);
  ssize_t sent;
  do {
    sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t receive_some(int fd, std::span<const iovec> pieces) {
  msghdr message = message_of(pieces);
  ssize_t got;
  do {
    got = recvmsg(fd, &message, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return got;
}

void drop_received(int fd) {
  std::array<std::byte, 4096> dropped;
  const iovec buffer{dropped.data(), dropped.size()};
  while (receive_some(fd, std::span(&buffer, 1)) > 0) {
  }
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace vmm::base
