// SPDX-License-Identifier: GPL-2.0-only
#include "machine/output_pipe.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vmm::machine {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void OutputPipe::write(std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  const bool line_ends = std::find(bytes.begin(), bytes.end(), std::byte{'\n'}) != bytes.end();
  if (line_ends || pending_.size() >= kHeldBack) send_all();
}

void OutputPipe::flush() {
  const std::lock_guard lock(mutex_);
  if (!pending_.empty()) send_all();
}

void OutputPipe::send_all() {
  size_t sent = 0;
  while (sent < pending_.size() && !closed_) {
    const ssize_t count = send(socket_, pending_.data() + sent, pending_.size() - sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      closed_ = !wait_writable();
    } else if (errno != EINTR) {
      closed_ = true;  // nobody will ever read it
    }
  }
  pending_.clear();
}

bool OutputPipe::wait_writable() {
  for (;;) {
    std::array<pollfd, 2> fds = {{{socket_, POLLOUT, 0}, {stopping_, POLLIN, 0}}};
    int timeout_ms = -1;
    if (give_up_at_) {
      fds[1].fd = -1;
      const auto left = std::chrono::ceil<milliseconds>(*give_up_at_ - steady_clock::now());
      if (left <= milliseconds::zero()) return false;
      timeout_ms = static_cast<int>(left.count());
    }
    if (poll(fds.data(), fds.size(), timeout_ms) < 0 && errno != EINTR) return false;
    if (fds[0].revents != 0) return true;
    if (fds[1].revents != 0) give_up_at_ = steady_clock::now() + kGrace;
  }
}

}  // namespace vmm::machine
