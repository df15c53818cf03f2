// SPDX-License-Identifier: GPL-2.0-only
//
// Where a guest may go by a user network. libslirp keeps it from this machine's loopback only at
// the router's address: a frame to 127.0.0.1 itself, or to another port of the name server, would
// get there all the same, and so, where this machine reaches its own host by an address, would one
// to that. Frames that lead where the guest has no business do not reach the library, unless they
// answer somebody there: a port that is forwarded has callers from a closed network. Used on
// UserNet's thread; waits for nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "backend/user_frame.hpp"

namespace vmm::backend {

class UserReach {
 public:
  // `loopback`: the guest may reach it. `closed` are networks like "198.51.100.0/24"; throws
  // base::ConfigError for what is none.
  UserReach(bool loopback, const std::vector<std::string>& closed);

  static constexpr size_t kMaxCallers = 256;

  bool leads(std::span<const std::byte> frame) const;
  // A frame on its way to the guest, which may answer it. Of more than kMaxCallers that came by
  // datagrams the oldest is forgotten.
  void called(std::span<const std::byte> frame);

 private:
  struct Network {
    IpAddress address;
    size_t bits;

    bool contains(const IpAddress& other) const;
  };
  struct Caller {
    IpAddress address;
    uint16_t port;
    uint16_t guest_port;

    bool operator==(const Caller&) const = default;
  };
  static Network parse(const std::string& text);
  bool closed(const IpAddress& address) const;

  std::vector<Network> closed_;
  std::deque<Caller> callers_;
};

}  // namespace vmm::backend
