// SPDX-License-Identifier: GPL-2.0-only
//
// Counts the sockets that libslirp opens for the flows of a guest, and limits them: the library
// opens one for each and knows no limit. UserNet asks before it gives a frame to the library, which
// then reports the sockets that it opens and closes. Owned by UserNet, called on its thread alone
// once that runs; waits for nothing.
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
  // Sockets that the guest makes the library open, and connections of the host's programs to
  // forwarded ports. A TCP connection has buffers of 256 KiB.
  size_t outgoing = 512;
  size_t incoming = 256;
  // How long a UDP flow may be idle while others wait for a socket; four minutes otherwise.
  std::chrono::milliseconds idle{10'000};
};

// The fields by which libslirp tells flows apart. A UDP socket serves whatever its port of the
// guest talks to; each echo request has a socket of its own, and no flow.
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

  // A flow that has a socket already, as a forwarded UDP port has.
  void expect(const Flow& flow) { known_.insert(flow); }

  // Whether the library may have this frame: not if it would open a socket, and there are too
  // many, or the VMM has no descriptor to spare. After true, settle() follows.
  bool admit(std::span<const std::byte> frame);
  // The library is done with the frame.
  void settle();

  // The library has opened a socket (-1 where it could not), or is about to close one.
  void opened(int fd);
  void closed(int fd);

  // Whether the library may look at this socket now. One that listens at a forwarded port is left
  // alone while there are too many connections, so that callers wait in the kernel's line.
  bool may_poll(int fd) const;

  size_t outgoing() const { return sockets_.size() - incoming_; }
  size_t incoming() const { return incoming_; }

 private:
  struct Socket {
    bool incoming;
    std::optional<Flow> flow;
  };

  const FlowLimits limits_;
  bool feeding_ = false;                     // the library has a frame of the guest's just now
  std::optional<Flow> fed_;                  // that frame's, if it is one of a flow
  std::unordered_map<int, Socket> sockets_;  // by descriptor
  std::multiset<Flow> known_;                // those that have a socket
  size_t incoming_ = 0;
};

}  // namespace vmm::backend
