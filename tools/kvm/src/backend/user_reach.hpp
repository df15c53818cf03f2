// SPDX-License-Identifier: GPL-2.0-only
//
// Decides where a guest may send frames on a user network. libslirp protects this host's loopback
// only at the router's address: a frame to 127.0.0.1 itself, to another port of the name server, or
// to an address by which this machine reaches its own host would get there all the same. Frames to
// closed addresses do not reach the library, unless they are replies: a forwarded port may have
// callers from a closed network. Used on UserNet's thread; never waits.
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
  // `loopback` lets the guest reach the host's loopback. `closed` are networks like
  // "198.51.100.0/24"; throws base::ConfigError for anything else.
  UserReach(bool loopback, const std::vector<std::string>& closed);

  static constexpr size_t kMaxCallers = 256;

  bool leads(std::span<const std::byte> frame) const;
  // Notes a frame on its way to the guest, so that the guest may answer it. Keeps the last
  // kMaxCallers that sent datagrams.
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
