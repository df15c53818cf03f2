// SPDX-License-Identifier: GPL-2.0-only
#include "machine/streams/output_pipe.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace vmm::machine {
namespace {

// No event until it is armed, and then one: a reader that keeps up costs no wake-up.
constexpr uint32_t kIdle = EPOLLONESHOT;
constexpr uint32_t kArmed = EPOLLOUT | EPOLLONESHOT;

}  // namespace

OutputPipe::OutputPipe(base::EventLoop& loop, base::UniqueFd socket, Gate* gate)
    : loop_(loop), socket_(std::move(socket)), gate_(gate) {
  loop_.add(socket_.get(), kIdle, [this](uint32_t) { on_writable(); });
}

OutputPipe::~OutputPipe() { loop_.remove(socket_.get()); }

void OutputPipe::write(std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  if (gate_ == nullptr) {
    const size_t room = kFull + kOverrun - std::min(pending_.size(), kFull + kOverrun);
    bytes = bytes.first(std::min(bytes.size(), room));
  }
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  const bool line_ends = std::find(bytes.begin(), bytes.end(), std::byte{'\n'}) != bytes.end();
  if (line_ends || pending_.size() >= kHeldBack) send_pending();
}

void OutputPipe::flush() {
  const std::lock_guard lock(mutex_);
  if (!pending_.empty()) send_pending();
}

bool OutputPipe::unsent() const {
  const std::lock_guard lock(mutex_);
  return !pending_.empty();
}

void OutputPipe::wait_sent(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  sent_.wait_until(lock, deadline, [this] { return pending_.empty(); });
}

void OutputPipe::on_writable() {
  bool ready_again = false;
  {
    const std::lock_guard lock(mutex_);
    blocked_ = false;
    ready_again = full_;
    send_pending();
    ready_again = ready_again && !full_;
  }
  if (ready_again && on_ready_) on_ready_();
}

void OutputPipe::send_pending() {
  size_t sent = 0;
  while (!blocked_ && !closed_ && sent < pending_.size()) {
    const ssize_t count = send(socket_.get(), pending_.data() + sent, pending_.size() - sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      blocked_ = true;
      loop_.modify(socket_.get(), kArmed);
    } else if (errno != EINTR) {
      closed_ = true;
    }
  }
  const auto end = closed_ ? pending_.end() : pending_.begin() + static_cast<ptrdiff_t>(sent);
  pending_.erase(pending_.begin(), end);
  if (pending_.empty()) sent_.notify_all();
  note_level();
}

void OutputPipe::note_level() {
  const bool full = pending_.size() >= (full_ ? kRoomAgain : kFull);
  if (full == full_) return;
  full_ = full;
  if (gate_ == nullptr) return;
  if (full) {
    gate_->output_filled();
  } else {
    gate_->output_emptied();
  }
}

}  // namespace vmm::machine
