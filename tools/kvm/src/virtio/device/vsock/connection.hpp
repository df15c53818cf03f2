// SPDX-License-Identifier: GPL-2.0-only
//
// One stream between a port of the guest and a Unix socket of the host: its socket, the credit that
// each side gives the other (virtio 1.2, 5.10.6.3), and the pending packets for the guest. Vsock
// owns it and calls it under its mutex; it does not use queues. Counters wrap at 2^32, as in the
// protocol.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace vmm::virtio {

struct VsockPorts {
  uint32_t host = 0;
  uint32_t guest = 0;

  auto operator<=>(const VsockPorts&) const = default;
};

// A packet's header without the constant fields: the machine's addresses, the kind of stream.
struct VsockWord {
  VsockPorts ports;
  uint16_t op = 0;
  uint32_t flags = 0;
  uint32_t buffer_bytes = 0;
  uint32_t forwarded = 0;
};

class VsockConnection {
 public:
  // The number of bytes that the guest may send before the host's program has read them.
  static constexpr uint32_t kBufferBytes = 256 * 1024;

  enum class State {
    kGreeting,   // the host's program has not sent the port yet
    kRequested,  // a request was sent to the guest
    kOpen,
  };
  enum class Greeting { kIncomplete, kComplete, kWrong };

  VsockConnection(base::UniqueFd socket, State state) : socket_(std::move(socket)), state_(state) {}

  State state() const { return state_; }
  const VsockPorts& ports() const { return ports_; }
  int fd() const { return socket_.get(); }

  // Takes EPOLL* bits, edge-triggered.
  void on_events(uint32_t events);

  // In kGreeting: reads the line if it is complete, and leaves the bytes after it. Sets the guest's
  // port.
  Greeting read_greeting();

  // Both set the ports; request() requests the connection from the guest, and respond() confirms
  // the guest's request.
  void request(const VsockPorts& ports);
  void respond(const VsockPorts& ports);
  // Whether the guest has seen the connection: the host's program may close it before that.
  bool guest_knows() const { return state_ != State::kGreeting && !say_request_; }
  // The guest has accepted; notifies the host's program.
  void open();

  // Takes the credit fields of every packet from the guest on this connection.
  void hear_credit(uint32_t buffer_bytes, uint32_t forwarded);
  // The guest requests the VMM's credit.
  void tell_credit() { say_credit_ = true; }

  // Takes bytes from the guest. False when they exceed its credit.
  bool take(std::span<const iovec> bytes, uint32_t length);
  // Sends waiting bytes on, if the socket has room.
  void flush();

  // The guest will no longer receive, or send.
  void hear_shutdown(bool no_receive, bool no_send);
  // Whether only a reset is left to do.
  bool finished() const { return guest_deaf_ && guest_done_ && waiting_bytes() == 0; }

  // Returns the next pending packet without data, and marks it as sent.
  std::optional<VsockWord> next_word();
  bool has_word() const;

  // Whether there is data to send and the guest has room for it.
  bool can_read() const;
  // Reads bytes from the host's program, within the guest's credit; 0: none now.
  size_t read(std::span<const iovec> into);
  // The header for a packet that is sent now.
  VsockWord word(uint16_t op, uint32_t flags = 0);

  bool queued = false;  // set by Vsock while it is in speakers_

 private:
  uint32_t credit() const;
  uint32_t waiting_bytes() const { return static_cast<uint32_t>(waiting_.size() - waiting_start_); }
  void forward(uint32_t bytes);
  void stop_writing();
  void settle_end();

  base::UniqueFd socket_;
  State state_;
  VsockPorts ports_;
  bool readable_ = true;  // until a read would block
  bool writable_ = true;

  // Direction to the guest.
  uint32_t sent_ = 0;
  uint32_t guest_buffer_bytes_ = 0;
  uint32_t guest_forwarded_ = 0;
  bool asked_credit_ = false;
  bool host_done_ = false;   // the host's program will write no more
  bool guest_deaf_ = false;  // the guest will receive no more

  // Direction from the guest.
  std::vector<std::byte> waiting_;
  size_t waiting_start_ = 0;
  uint32_t received_ = 0;
  uint32_t forwarded_ = 0;
  uint32_t told_forwarded_ = 0;
  bool host_deaf_ = false;   // the host's program has gone and reads no more
  bool guest_done_ = false;  // the guest will send no more

  // Pending packets for the guest.
  bool say_request_ = false;
  bool say_response_ = false;
  bool say_credit_ = false;
  bool ask_credit_ = false;
  uint32_t shutdown_flags_ = 0;
  uint32_t said_shutdown_flags_ = 0;
};

}  // namespace vmm::virtio
