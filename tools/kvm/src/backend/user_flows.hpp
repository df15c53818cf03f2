// SPDX-License-Identifier: GPL-2.0-only
//
// Counts and limits the sockets that libslirp opens for a guest's flows: the library opens one for
// each, without a limit. UserNet asks before it gives a frame to the library, which then reports
// the sockets that it opens and closes. Owned by UserNet, and called only on its thread once that
// runs; never waits.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>

#include "backend/user_frame.hpp"

namespace vmm::backend {

struct FlowLimits {
  // Limit of sockets that the library opens for the guest, and of connections from the host to
  // forwarded ports. A TCP connection has buffers of 256 KiB.
  size_t outgoing = 512;
  size_t incoming = 256;
  // The idle limit of a UDP flow while others wait for a socket; otherwise it is four minutes.
  std::chrono::milliseconds idle{10'000};
};

// The fields by which libslirp tells flows apart. A UDP socket serves all peers of its guest port;
// each echo request has its own socket, and no flow.
struct Flow {
  uint8_t protocol = 0;
  IpAddress guest{};
  IpAddress host{};
  uint16_t guest_port = 0;
  uint16_t host_port = 0;

  auto operator<=>(const Flow&) const = default;
};

class UserFlows {
 public:
  explicit UserFlows(const FlowLimits& limits) : limits_(limits) {}

  // Adds a flow that already has a socket, as a forwarded UDP port has.
  void expect(const Flow& flow) { known_.insert(flow); }

  // Whether the library may get this frame: false if it would open a socket while there are too
  // many, or while the VMM has no descriptor to spare. After true, the caller must call settle().
  bool admit(std::span<const std::byte> frame);
  // The library has processed the frame.
  void settle();

  // The library has opened a socket (-1 where it could not), or is about to close one.
  void opened(int fd);
  void closed(int fd);

  // Whether the library may look at this socket now. A socket that listens at a forwarded port is
  // not polled while there are too many connections, so that callers wait in the kernel's backlog.
  bool may_poll(int fd) const;

  size_t outgoing() const { return sockets_.size() - incoming_; }
  size_t incoming() const { return incoming_; }

 private:
  struct Socket {
    bool incoming;
    std::optional<Flow> flow;
  };

  const FlowLimits limits_;
  bool feeding_ = false;                     // the library is processing a guest's frame
  std::optional<Flow> fed_;                  // that frame's flow, if any
  std::unordered_map<int, Socket> sockets_;  // by descriptor
  std::multiset<Flow> known_;                // flows with a socket
  size_t incoming_ = 0;
};

}  // namespace vmm::backend
