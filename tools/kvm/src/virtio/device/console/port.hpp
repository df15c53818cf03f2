// SPDX-License-Identifier: GPL-2.0-only
//
// One port of the console: a socket to the host, and the pair of queues that carry its bytes.
// Independent of the control protocol, locks and the event loop: Console owns the ports and calls
// them under its mutex, on a vCPU thread or the event loop's. The socket is watched edge-triggered,
// so readiness is remembered here until a call would block.
#pragma once

#include <cstdint>

#include "base/unique_fd.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class ConsolePort {
 public:
  // The queues' indices follow from the port's number (virtio 1.2, 5.3.2).
  ConsolePort(uint32_t number, base::UniqueFd socket);

  int fd() const { return socket_.get(); }
  uint16_t receive_queue() const { return receive_queue_; }
  uint16_t transmit_queue() const { return receive_queue_ + 1; }

  // Whether the host's end is still open.
  bool host_open() const { return host_open_; }

  // Bytes for the guest wait in the socket until the guest has opened the port: Linux discards
  // what arrives earlier.
  void set_guest_open(bool open) { state_.guest_open = open; }

  // Takes the events that epoll reported.
  void on_events(uint32_t events);

  // Moves bytes from guest to host, until the queue is empty, the socket is full or the turn is
  // over.
  void transmit(QueueSet& queues);

  // Whether transmit() has left bytes until the socket has room.
  bool waits_for_host(const QueueSet& queues) const {
    return !writable_ && queues.has_available(transmit_queue());
  }

  // Moves bytes from host to guest, until the socket or the queue is empty, or the turn is over.
  // True when the host has just hung up.
  bool receive(QueueSet& queues);

  // Clears the state of the queues, which no longer exist.
  void reset();

  void checkpoint() { kept_ = state_; }
  // Drops the bytes that wait for the guest.
  void rewind();

 private:
  // Sends from byte `sent_of_head` of the chain on; false when the socket is full, or the turn is
  // over.
  bool send_rest(const Chain& chain, QueueSet& queues);

  base::UniqueFd socket_;
  uint16_t receive_queue_;
  bool readable_ = true;
  bool writable_ = true;
  bool host_open_ = true;
  bool host_reads_ = true;
  struct State {
    bool guest_open = false;
    uint64_t sent_of_head = 0;  // bytes sent of the transmit queue's first chain
  };
  State state_;
  State kept_;  // at the checkpoint
};

}  // namespace vmm::virtio
