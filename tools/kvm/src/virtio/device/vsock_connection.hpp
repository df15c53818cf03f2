// SPDX-License-Identifier: GPL-2.0-only
//
// One stream between a port of the guest's and a Unix socket of the host's: its socket, the credit
// that each side gives the other (virtio 1.2, 5.10.6.3), and what is to be said to the guest. Vsock
// owns it and calls it under its mutex; it knows no queue. Counters wrap at 2^32, as the protocol's
// do.
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

// A packet's header without what is the same in all: addresses of the machine, kind of stream.
struct VsockWord {
  VsockPorts ports;
  uint16_t op = 0;
  uint32_t flags = 0;
  uint32_t buffer_bytes = 0;
  uint32_t forwarded = 0;
};

class VsockConnection {
 public:
  // What the guest may send before the host's program has read it.
  static constexpr uint32_t kBufferBytes = 256 * 1024;

  enum class State {
    kGreeting,   // the host's program has not said which port it wants
    kRequested,  // the guest has been asked
    kOpen,
  };
  enum class Greeting { kIncomplete, kComplete, kWrong };

  VsockConnection(base::UniqueFd socket, State state) : socket_(std::move(socket)), state_(state) {}

  State state() const { return state_; }
  const VsockPorts& ports() const { return ports_; }
  int fd() const { return socket_.get(); }

  // EPOLL* bits, edge-triggered.
  void on_events(uint32_t events);

  // kGreeting: looks for the line, takes it, and leaves what follows. Sets the guest's port.
  Greeting read_greeting();

  // Gives it its ports and asks the guest for the connection, or tells it that it is there.
  void request(const VsockPorts& ports);
  void respond(const VsockPorts& ports);
  // Whether the guest has heard of it: one that asks for it may have gone before that.
  bool guest_knows() const { return state_ != State::kGreeting && !say_request_; }
  // The guest has said yes; the host's program learns it.
  void open();

  // From every packet of the guest's on this connection.
  void hear_credit(uint32_t buffer_bytes, uint32_t forwarded);
  // The guest asks for ours.
  void tell_credit() { say_credit_ = true; }

  // Takes bytes of the guest's. False when they are more than it had credit for.
  bool take(std::span<const iovec> bytes, uint32_t length);
  // Sends on what waits, if the socket has room.
  void flush();

  // The guest will not receive, or send, any more.
  void hear_shutdown(bool no_receive, bool no_send);
  // Nothing is left to do but to reset it.
  bool finished() const { return guest_deaf_ && guest_done_ && waiting_bytes() == 0; }

  // The next thing to say besides data; it counts as said.
  std::optional<VsockWord> next_word();
  bool has_word() const;

  // Data may follow: there is some, and the guest has room.
  bool can_read() const;
  // Bytes from the host's program, at most what the guest has credit for; 0: none now.
  size_t read(std::span<const iovec> into);
  // The header's common part for a packet that is sent now.
  VsockWord word(uint16_t op, uint32_t flags = 0);

  bool queued = false;  // Vsock's: it is in the line of those who want to speak

 private:
  uint32_t credit() const;
  uint32_t waiting_bytes() const { return static_cast<uint32_t>(waiting_.size() - waiting_start_); }
  void forward(uint32_t bytes);
  void stop_writing();
  void settle_end();

  base::UniqueFd socket_;
  State state_;
  VsockPorts ports_;
  bool readable_ = true;  // until a read says otherwise
  bool writable_ = true;

  // Towards the guest.
  uint32_t sent_ = 0;
  uint32_t guest_buffer_bytes_ = 0;
  uint32_t guest_forwarded_ = 0;
  bool asked_credit_ = false;
  bool host_done_ = false;   // the host's program will not write any more
  bool guest_deaf_ = false;  // the guest will not receive any more

  // From the guest.
  std::vector<std::byte> waiting_;
  size_t waiting_start_ = 0;
  uint32_t received_ = 0;
  uint32_t forwarded_ = 0;
  uint32_t told_forwarded_ = 0;
  bool host_deaf_ = false;   // the host's program has gone: nobody will read this
  bool guest_done_ = false;  // the guest will not send any more

  // To be said.
  bool say_request_ = false;
  bool say_response_ = false;
  bool say_credit_ = false;
  bool ask_credit_ = false;
  uint32_t shutdown_flags_ = 0;
  uint32_t said_shutdown_flags_ = 0;
};

}  // namespace vmm::virtio
