// SPDX-License-Identifier: GPL-2.0-only
//
// User-mode networking: libslirp acts as router, DHCP and DNS server for one guest and opens
// ordinary sockets for its connections, so it needs no privilege. The library is single-threaded:
// it runs on its own thread, with a queue of frames in each direction. While the queue to the guest
// is full, data stays in the sockets, so TCP slows down instead of losing frames.
//
// Offloads are done in software: checksums are completed here, as the library verifies them. A
// segment of up to 64 KiB is passed on whole, since the library takes frames of any size; frames
// from it have correct checksums and are marked so. Frames to the guest respect its MTU.
//
// The library has no limit on sockets, so frames that would open one too many are dropped
// (user_flows.hpp): the guest sees loss, as on a busy network, and idle flows end sooner than
// otherwise.
#pragma once

#include <poll.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backend/net_backend.hpp"
#include "backend/slirp_library.hpp"
#include "backend/user_flows.hpp"
#include "backend/user_reach.hpp"
#include "base/unique_fd.hpp"

namespace vmm::backend {

// A port of this host that is forwarded to the guest.
struct PortForward {
  bool udp = false;
  std::string host_address = "127.0.0.1";
  uint16_t host_port = 0;
  uint16_t guest_port = 0;
};

struct UserNetTraits {
  uint16_t mtu = 1500;
  bool host_loopback = false;  // the router's address leads to this host's 127.0.0.1
  FlowLimits limits = {};
  std::vector<std::string> closed = {};  // networks that the guest must not reach
};

class UserNet final : public NetBackend {
 public:
  // libslirp's usual addresses.
  static constexpr const char* kNetwork = "10.0.2.0";
  static constexpr const char* kNetmask = "255.255.255.0";
  static constexpr const char* kHost = "10.0.2.2";
  static constexpr const char* kNameServer = "10.0.2.3";
  static constexpr const char* kGuest = "10.0.2.15";
  // IPv6; the guest gets its address from the router.
  static constexpr const char* kPrefix6 = "fec0::";
  static constexpr uint8_t kPrefix6Bits = 64;
  static constexpr const char* kHost6 = "fec0::2";
  static constexpr const char* kNameServer6 = "fec0::3";
  static constexpr uint16_t kMinMtu = 576;
  static constexpr uint16_t kMaxMtu = 65521;

  // Throws base::ConfigError for a missing library, a port that is taken or a bad address.
  explicit UserNet(const std::vector<PortForward>& forwards, const UserNetTraits& traits = {});
  ~UserNet() override;

  NetTraits traits() const override;
  void start(Ready ready) override;
  void stop() override;
  void set_offloads(const NetOffloads&) override {}
  void set_queue_pairs(uint16_t) override {}
  Sent send(uint16_t pair, const NetHeader& header, std::span<const iovec> frame) override;
  std::span<const std::byte> peek(uint16_t pair) override;
  void consume(uint16_t pair) override;

 private:
  using Frame = std::vector<std::byte>;

  struct FrameQueue {
    std::deque<Frame> frames;
    size_t bytes = 0;

    void push(Frame frame);
    Frame pop();
  };

  struct Timer {
    slirp::TimerCallback callback;
    void* argument;
    int64_t expires_ms;
  };

  static slirp::Callbacks callbacks();
  void forward(const PortForward& wanted);
  void run();
  void feed();
  void poll_once();
  void fire_timers();
  bool clogged();
  void take_packet(std::span<const std::byte> frame);
  void wake();

  const UserNetTraits traits_;
  const slirp::Library& library_;
  const slirp::Callbacks callbacks_;
  base::UniqueFd wakeup_;
  slirp::Stack* stack_ = nullptr;
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
  Ready ready_;

  // Used only by the thread, once it runs.
  UserReach reach_;
  UserFlows flows_;
  std::vector<std::unique_ptr<Timer>> timers_;
  std::vector<pollfd> polled_;

  std::mutex mutex_;  // guards all that follows
  FrameQueue from_guest_;
  FrameQueue to_guest_;
  bool sender_waits_ = false;
  bool news_ = false;  // for the device, since the last call of `ready`
};

}  // namespace vmm::backend
