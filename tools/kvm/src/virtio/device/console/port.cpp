// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/console/port.hpp"

#include <sys/epoll.h>

#include <utility>
#include <vector>

#include "base/socket.hpp"
#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

// Queues 2 and 3 are the control pair, so port 1 starts at 4.
uint16_t receive_queue_of(uint32_t number) {
  return static_cast<uint16_t>(number == 0 ? 0 : 2 + 2 * number);
}

}  // namespace

ConsolePort::ConsolePort(uint32_t number, base::UniqueFd socket)
    : socket_(std::move(socket)), receive_queue_(receive_queue_of(number)) {}

void ConsolePort::on_events(uint32_t events) {
  constexpr uint32_t kGone = EPOLLHUP | EPOLLERR;
  if (events & (EPOLLIN | EPOLLRDHUP | kGone)) readable_ = true;
  if (events & (EPOLLOUT | kGone)) writable_ = true;
}

void ConsolePort::transmit(QueueSet& queues) {
  while (writable_) {
    auto chain = queues.pop(transmit_queue());
    if (!chain) break;
    if (!send_rest(*chain, queues)) {
      queues.put_back(transmit_queue(), std::move(*chain));
      break;
    }
    state_.sent_of_head = 0;
    queues.complete(transmit_queue(), std::move(*chain), 0);
  }
}

bool ConsolePort::send_rest(const Chain& chain, QueueSet& queues) {
  bool first = true;
  // The guest may have shortened the chain since its first part was sent: then nothing is left.
  while (host_reads_ && state_.sent_of_head < chain.readable_bytes()) {
    // A fast reader would never let the socket become full, so each send counts; the chain covers
    // the first.
    if (!std::exchange(first, false) && !queues.spend(transmit_queue())) return false;
    auto pieces = sub_range(chain.readable(), state_.sent_of_head,
                            chain.readable_bytes() - state_.sent_of_head);
    const ssize_t sent = base::send_some(socket_.get(), pieces);
    if (sent >= 0) {
      state_.sent_of_head += static_cast<uint64_t>(sent);
    } else if (base::would_block()) {
      writable_ = false;
      return false;
    } else {
      host_reads_ = false;  // the host has gone: the guest must not wait for it
    }
  }
  return true;
}

bool ConsolePort::receive(QueueSet& queues) {
  bool hung_up = false;
  while (readable_ && host_open_ && state_.guest_open) {
    auto chain = queues.pop(receive_queue());
    if (!chain) break;
    if (chain->writable_bytes() == 0) {
      queues.fail(receive_queue(), Fault::kMalformedRequest);
      return false;
    }
    const ssize_t got = base::receive_some(socket_.get(), chain->writable());
    if (got > 0) {
      queues.complete(receive_queue(), std::move(*chain), static_cast<uint32_t>(got));
      continue;
    }
    readable_ = false;
    hung_up = got == 0 || !base::would_block();
    queues.put_back(receive_queue(), std::move(*chain));
  }
  if (hung_up) host_open_ = false;
  return hung_up;
}

void ConsolePort::reset() { state_ = {}; }

void ConsolePort::rewind() {
  state_ = kept_;
  base::drop_received(socket_.get());
  // Looked at again with the next chain.
  readable_ = writable_ = true;
}

}  // namespace vmm::virtio
