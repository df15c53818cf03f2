// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/vsock/connection.hpp"

#include <linux/virtio_vsock.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

#include "base/socket.hpp"
#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

constexpr std::string_view kGreetingWord = "CONNECT ";
constexpr size_t kGreetingMaxBytes = 32;

std::optional<uint32_t> parse_greeting(std::string_view line) {
  if (!line.starts_with(kGreetingWord)) return std::nullopt;
  line.remove_prefix(kGreetingWord.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), port);
  if (error != std::errc{} || end != line.data() + line.size()) return std::nullopt;
  return port;
}

}  // namespace

void VsockConnection::on_events(uint32_t events) {
  constexpr uint32_t kGone = EPOLLHUP | EPOLLERR;
  if (events & (EPOLLIN | EPOLLRDHUP | kGone)) readable_ = true;
  if (events & (EPOLLOUT | kGone)) {
    writable_ = true;
    if (state_ == State::kOpen) flush();
  }
}

VsockConnection::Greeting VsockConnection::read_greeting() {
  std::array<char, kGreetingMaxBytes> bytes;
  ssize_t got;
  do {
    got = recv(fd(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && base::would_block()) return Greeting::kIncomplete;
  if (got <= 0) return Greeting::kWrong;
  const std::string_view seen(bytes.data(), static_cast<size_t>(got));
  const size_t end = seen.find('\n');
  if (end == std::string_view::npos) {
    return seen.size() < kGreetingMaxBytes ? Greeting::kIncomplete : Greeting::kWrong;
  }
  const auto port = parse_greeting(seen.substr(0, end));
  if (!port || recv(fd(), bytes.data(), end + 1, MSG_DONTWAIT) != static_cast<ssize_t>(end + 1)) {
    return Greeting::kWrong;
  }
  ports_.guest = *port;
  return Greeting::kComplete;
}

void VsockConnection::request(const VsockPorts& ports) {
  ports_ = ports;
  state_ = State::kRequested;
  say_request_ = true;
}

void VsockConnection::respond(const VsockPorts& ports) {
  ports_ = ports;
  state_ = State::kOpen;
  say_response_ = true;
}

void VsockConnection::open() {
  state_ = State::kOpen;
  // The first bytes on a new socket: there is room, unless the peer has gone.
  std::string line = "OK " + std::to_string(ports_.host) + "\n";
  const iovec piece{line.data(), line.size()};
  if (base::send_some(fd(), std::span(&piece, 1)) < 0) stop_writing();
}

void VsockConnection::hear_credit(uint32_t buffer_bytes, uint32_t forwarded) {
  guest_buffer_bytes_ = buffer_bytes;
  guest_forwarded_ = forwarded;
  asked_credit_ = false;
}

bool VsockConnection::take(std::span<const iovec> bytes, uint32_t length) {
  if (length > kBufferBytes - waiting_bytes()) return false;
  received_ += length;
  if (host_deaf_ || guest_done_) {
    forward(length);
    return true;
  }
  uint32_t done = 0;
  if (writable_ && waiting_bytes() == 0 && length > 0) {
    const ssize_t sent = base::send_some(fd(), bytes);
    if (sent >= 0) {
      done = static_cast<uint32_t>(sent);
      forward(done);
    } else if (base::would_block()) {
      writable_ = false;
    } else {
      stop_writing();
      forward(length);
      return true;
    }
  }
  if (waiting_start_ >= kBufferBytes) {
    const auto start = static_cast<std::ptrdiff_t>(waiting_start_);
    waiting_.erase(waiting_.begin(), waiting_.begin() + start);
    waiting_start_ = 0;
  }
  const size_t old = waiting_.size();
  waiting_.resize(old + length - done);
  copy_from(bytes, done, std::span(waiting_).subspan(old));
  return true;
}

void VsockConnection::flush() {
  while (writable_ && waiting_bytes() > 0) {
    const iovec piece{waiting_.data() + waiting_start_, waiting_bytes()};
    const ssize_t sent = base::send_some(fd(), std::span(&piece, 1));
    if (sent >= 0) {
      waiting_start_ += static_cast<size_t>(sent);
      forward(static_cast<uint32_t>(sent));
    } else if (base::would_block()) {
      writable_ = false;
    } else {
      stop_writing();
    }
  }
  if (waiting_bytes() == 0) {
    waiting_.clear();
    waiting_start_ = 0;
  }
  settle_end();
}

// Sends a credit update when the guest's view of the free space has fallen below half.
void VsockConnection::forward(uint32_t bytes) {
  forwarded_ += bytes;
  const uint32_t outstanding = received_ - told_forwarded_;
  if (forwarded_ != told_forwarded_ && outstanding >= kBufferBytes / 2) say_credit_ = true;
}

// The host's end no longer reads: waiting bytes are lost, and the guest is asked to send no more.
void VsockConnection::stop_writing() {
  host_deaf_ = true;
  const uint32_t lost = waiting_bytes();
  waiting_.clear();
  waiting_start_ = 0;
  forward(lost);
  shutdown_flags_ |= VIRTIO_VSOCK_SHUTDOWN_RCV;
}

void VsockConnection::hear_shutdown(bool no_receive, bool no_send) {
  guest_deaf_ = guest_deaf_ || no_receive;
  guest_done_ = guest_done_ || no_send;
  settle_end();
}

// The host's program sees the end after all bytes sent before it.
void VsockConnection::settle_end() {
  if (guest_done_ && waiting_bytes() == 0) static_cast<void>(::shutdown(fd(), SHUT_WR));
}

bool VsockConnection::has_word() const {
  return say_request_ || say_response_ || say_credit_ || ask_credit_ ||
         shutdown_flags_ != said_shutdown_flags_;
}

std::optional<VsockWord> VsockConnection::next_word() {
  if (std::exchange(say_request_, false)) return word(VIRTIO_VSOCK_OP_REQUEST);
  if (std::exchange(say_response_, false)) return word(VIRTIO_VSOCK_OP_RESPONSE);
  if (std::exchange(ask_credit_, false)) return word(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
  if (say_credit_) return word(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  if (shutdown_flags_ != said_shutdown_flags_) {
    said_shutdown_flags_ = shutdown_flags_;
    return word(VIRTIO_VSOCK_OP_SHUTDOWN, shutdown_flags_);
  }
  return std::nullopt;
}

VsockWord VsockConnection::word(uint16_t op, uint32_t flags) {
  told_forwarded_ = forwarded_;
  say_credit_ = false;
  return {ports_, op, flags, kBufferBytes, forwarded_};
}

// A guest that claims to have received more than was sent gets no credit.
uint32_t VsockConnection::credit() const {
  const uint32_t outstanding = sent_ - guest_forwarded_;
  return outstanding >= guest_buffer_bytes_ ? 0 : guest_buffer_bytes_ - outstanding;
}

bool VsockConnection::can_read() const {
  return state_ == State::kOpen && !say_response_ && readable_ && !host_done_ && !guest_deaf_ &&
         credit() > 0;
}

size_t VsockConnection::read(std::span<const iovec> into) {
  assert(can_read());
  const auto pieces = sub_range(into, 0, credit());
  const ssize_t got = base::receive_some(fd(), pieces);
  if (got > 0) {
    sent_ += static_cast<uint32_t>(got);
    if (credit() == 0 && !std::exchange(asked_credit_, true)) ask_credit_ = true;
    return static_cast<size_t>(got);
  }
  readable_ = false;
  if (got == 0 || !base::would_block()) {
    host_done_ = true;
    shutdown_flags_ |= VIRTIO_VSOCK_SHUTDOWN_SEND;
  }
  return 0;
}

}  // namespace vmm::virtio
