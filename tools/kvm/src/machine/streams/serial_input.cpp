// SPDX-License-Identifier: GPL-2.0-only
#include "machine/streams/serial_input.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vmm::machine {
namespace {

// A limit, as a guest that reads as fast as the host writes would keep the loop's thread here for
// ever.
constexpr int kMaxReceives = 64;
constexpr uint32_t kEvents = EPOLLIN | EPOLLET;

}  // namespace

SerialInput::SerialInput(base::EventLoop& loop, int socket, devices::Serial& port)
    : loop_(loop), socket_(socket), port_(port) {
  port_.on_receive_space([this] { pump(false); });
  loop_.add(socket_, kEvents, [this](uint32_t) { pump(true); });
}

SerialInput::~SerialInput() { loop_.remove(socket_); }

void SerialInput::pump(bool readable) {
  const std::lock_guard lock(mutex_);
  readable_ = readable_ || readable;
  for (int i = 0; readable_; ++i) {
    if (i == kMaxReceives) {
      loop_.modify(socket_, kEvents);  // which reports remaining bytes again
      return;
    }
    std::array<std::byte, devices::Serial::kReceiveCapacity> bytes;
    const size_t space = std::min(port_.receive_space(), bytes.size());
    if (space == 0) return;
    const ssize_t count = recv(socket_, bytes.data(), space, MSG_DONTWAIT);
    if (count > 0) {
      port_.receive(std::span(bytes).first(static_cast<size_t>(count)));
    } else if (count == 0 || errno != EINTR) {
      readable_ = false;  // empty, or the host has hung up
    }
  }
}

}  // namespace vmm::machine
