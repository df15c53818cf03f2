// SPDX-License-Identifier: GPL-2.0-only
#include "backend/user_net.hpp"

#include <arpa/inet.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "backend/net_checksum.hpp"
#include "backend/slirp_clock.hpp"
#include "base/error.hpp"
#include "base/signals.hpp"

namespace vmm::backend {
namespace {

// Above the first limit sockets are not read, so senders wait; above the second frames are lost:
// only the library's replies to the guest's own frames get that far.
constexpr size_t kQueueBytes = 1 << 20;
constexpr size_t kHardLimitBytes = 8 << 20;
// The number of guest frames that are processed before the sockets are served.
constexpr int kFeedFrames = 64;
constexpr uint32_t kPollTimeoutMs = 1000;

in_addr address(const char* text) {
  in_addr parsed{};
  const int known = inet_pton(AF_INET, text, &parsed);
  assert(known == 1);
  static_cast<void>(known);
  return parsed;
}

in6_addr address6(const char* text) {
  in6_addr parsed{};
  const int known = inet_pton(AF_INET6, text, &parsed);
  assert(known == 1);
  static_cast<void>(known);
  return parsed;
}

slirp::Config make_config(const UserNetTraits& traits) {
  slirp::Config config{};
  config.version = slirp::kConfigVersion;
  config.in_enabled = true;
  config.vnetwork = address(UserNet::kNetwork);
  config.vnetmask = address(UserNet::kNetmask);
  config.vhost = address(UserNet::kHost);
  config.vdhcp_start = address(UserNet::kGuest);
  config.vnameserver = address(UserNet::kNameServer);
  config.in6_enabled = true;
  config.vprefix_addr6 = address6(UserNet::kPrefix6);
  config.vprefix_len = UserNet::kPrefix6Bits;
  config.vhost6 = address6(UserNet::kHost6);
  config.vnameserver6 = address6(UserNet::kNameServer6);
  config.vhostname = "guest";
  config.if_mtu = traits.mtu;
  config.if_mru = traits.mtu;
  config.disable_host_loopback = !traits.host_loopback;
  return config;
}

short to_poll(int events) {
  int all = 0;
  if (events & slirp::kPollIn) all |= POLLIN;
  if (events & slirp::kPollOut) all |= POLLOUT;
  if (events & slirp::kPollPriority) all |= POLLPRI;
  if (events & slirp::kPollError) all |= POLLERR;
  if (events & slirp::kPollHangUp) all |= POLLHUP;
  return static_cast<short>(all);
}

int from_poll(short events) {
  int all = 0;
  if (events & POLLIN) all |= slirp::kPollIn;
  if (events & POLLOUT) all |= slirp::kPollOut;
  if (events & POLLPRI) all |= slirp::kPollPriority;
  if (events & POLLERR) all |= slirp::kPollError;
  if (events & POLLHUP) all |= slirp::kPollHangUp;
  return all;
}

// Does the work that the driver left to the device; false when the header is invalid.
bool finish_frame(std::span<std::byte> frame, const NetHeader& header) {
  const int kind = header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
  const bool checksum = (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
  if (kind != VIRTIO_NET_HDR_GSO_NONE && kind != VIRTIO_NET_HDR_GSO_TCPV4) return false;
  // Segments get headers derived from the whole frame's (5.1.6.2.1), so it must have a checksum.
  if (kind != VIRTIO_NET_HDR_GSO_NONE && !checksum) return false;
  return !checksum || complete_checksum(frame, header.csum_start, header.csum_offset);
}

}  // namespace

void UserNet::FrameQueue::push(Frame frame) {
  bytes += frame.size();
  frames.push_back(std::move(frame));
}

UserNet::Frame UserNet::FrameQueue::pop() {
  Frame frame = std::move(frames.front());
  frames.pop_front();
  bytes -= frame.size();
  return frame;
}

slirp::Callbacks UserNet::callbacks() {
  slirp::Callbacks all{};
  all.send_packet = [](const void* frame, size_t length, void* opaque) {
    static_cast<UserNet*>(opaque)->take_packet({static_cast<const std::byte*>(frame), length});
    return static_cast<ssize_t>(length);
  };
  all.guest_error = [](const char*, void*) {};  // guests' errors are not logged
  all.clock_get_ns = [](void*) { return slirp::Clock::now_ns(); };
  all.timer_new = [](slirp::TimerCallback callback, void* argument, void* opaque) -> void* {
    auto& timers = static_cast<UserNet*>(opaque)->timers_;
    timers.push_back(std::make_unique<Timer>(Timer{callback, argument, INT64_MAX}));
    return timers.back().get();
  };
  all.timer_free = [](void* timer, void* opaque) {
    std::erase_if(static_cast<UserNet*>(opaque)->timers_,
                  [timer](const auto& known) { return known.get() == timer; });
  };
  all.timer_mod = [](void* timer, int64_t expires_ms, void*) {
    static_cast<Timer*>(timer)->expires_ms = expires_ms;
  };
  all.register_poll_fd = [](int fd, void* opaque) {
    static_cast<UserNet*>(opaque)->flows_.opened(fd);
  };
  all.unregister_poll_fd = [](int fd, void* opaque) {
    static_cast<UserNet*>(opaque)->flows_.closed(fd);
  };
  all.notify = [](void* opaque) { static_cast<UserNet*>(opaque)->wake(); };
  return all;
}

UserNet::UserNet(const std::vector<PortForward>& forwards, const UserNetTraits& traits)
    : traits_(traits),
      library_(slirp::library()),
      callbacks_(callbacks()),
      wakeup_(base::check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      reach_(traits.host_loopback, traits.closed),
      flows_(traits.limits) {
  const uint16_t mtu = traits.mtu;
  if (mtu < kMinMtu || mtu > kMaxMtu) {
    throw base::ConfigError("mtu is " + std::to_string(mtu) + ": use " + std::to_string(kMinMtu) +
                            " to " + std::to_string(kMaxMtu));
  }
  const slirp::Config config = make_config(traits);
  stack_ = library_.create(&config, &callbacks_, this);
  if (stack_ == nullptr) throw base::ConfigError("libslirp does not take our configuration");
  try {
    for (const PortForward& wanted : forwards) forward(wanted);
  } catch (...) {
    library_.cleanup(stack_);
    throw;
  }
}

UserNet::~UserNet() {
  stop();
  library_.cleanup(stack_);
}

void UserNet::forward(const PortForward& wanted) {
  const std::string name = std::string(wanted.udp ? "udp:" : "tcp:") + wanted.host_address + ":" +
                           std::to_string(wanted.host_port);
  in_addr host{};
  if (inet_pton(AF_INET, wanted.host_address.c_str(), &host) != 1) {
    throw base::ConfigError("hostfwd " + name + ": " + wanted.host_address +
                            " is no IPv4 address; write it like 127.0.0.1");
  }
  if (library_.add_hostfwd(stack_, wanted.udp ? 1 : 0, host, wanted.host_port, address(kGuest),
                           wanted.guest_port) == 0) {
    if (wanted.udp) {
      flows_.expect({IPPROTO_UDP, mapped(ntohl(address(kGuest).s_addr)), {}, wanted.guest_port, 0});
    }
    return;
  }
  const int error = errno;
  throw base::ConfigError("hostfwd " + name + ": " + std::strerror(error) +
                          "; choose another host port");
}

NetTraits UserNet::traits() const {
  NetTraits traits;
  traits.send = {.checksum = true, .tso4 = true, .tso6 = false, .ecn = true};
  traits.receive = {.checksum = true, .tso4 = false, .tso6 = false, .ecn = false};
  traits.mtu = traits_.mtu;
  return traits;
}

void UserNet::start(Ready ready) {
  assert(!thread_.joinable());
  ready_ = std::move(ready);
  thread_ = std::thread([this] { run(); });
}

void UserNet::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
}

Sent UserNet::send(uint16_t, const NetHeader& header, std::span<const iovec> frame) {
  size_t length = 0;
  for (const iovec& buffer : frame) length += buffer.iov_len;
  if (length < kMinFrameBytes || length > kMaxFrameBytes) return Sent::kTaken;
  {
    const std::lock_guard lock(mutex_);
    if (from_guest_.bytes >= kQueueBytes) {
      sender_waits_ = true;
      return Sent::kFull;
    }
  }
  Frame copy(length);
  size_t done = 0;
  for (const iovec& buffer : frame) {
    std::memcpy(copy.data() + done, buffer.iov_base, buffer.iov_len);
    done += buffer.iov_len;
  }
  if (!finish_frame(copy, header)) return Sent::kTaken;
  bool was_empty;
  {
    const std::lock_guard lock(mutex_);
    was_empty = from_guest_.frames.empty();
    from_guest_.push(std::move(copy));
  }
  if (was_empty) wake();
  return Sent::kTaken;
}

std::span<const std::byte> UserNet::peek(uint16_t pair) {
  const std::lock_guard lock(mutex_);
  if (pair != 0 || to_guest_.frames.empty()) return {};
  return to_guest_.frames.front();  // a deque does not move it until it is popped
}

void UserNet::consume(uint16_t) {
  bool unclogged;
  {
    const std::lock_guard lock(mutex_);
    const bool before = to_guest_.bytes >= kQueueBytes;
    to_guest_.pop();
    unclogged = before && to_guest_.bytes < kQueueBytes;
  }
  if (unclogged) wake();
}

void UserNet::take_packet(std::span<const std::byte> frame) {
  reach_.called(frame);
  NetHeader header{};
  header.flags = VIRTIO_NET_HDR_F_DATA_VALID;  // it was on no wire
  const auto head = std::as_bytes(std::span(&header, 1));
  Frame whole(head.size() + frame.size());
  std::ranges::copy(head, whole.begin());
  std::ranges::copy(frame, whole.begin() + static_cast<std::ptrdiff_t>(head.size()));
  const std::lock_guard lock(mutex_);
  if (to_guest_.bytes + whole.size() > kHardLimitBytes) return;
  to_guest_.push(std::move(whole));
  news_ = true;
}

void UserNet::run() {
  base::block_signals();
  while (!stopping_) {
    feed();
    poll_once();
    fire_timers();
    bool call;
    {
      const std::lock_guard lock(mutex_);
      call = std::exchange(news_, false);
      if (sender_waits_ && from_guest_.bytes < kQueueBytes) {
        sender_waits_ = false;
        call = true;
      }
    }
    if (call) ready_(0);
  }
}

void UserNet::feed() {
  for (int i = 0; i < kFeedFrames; ++i) {
    Frame frame;
    {
      const std::lock_guard lock(mutex_);
      if (from_guest_.frames.empty()) return;
      frame = from_guest_.pop();
    }
    if (!reach_.leads(frame)) continue;
    if (!flows_.admit(frame)) {
      slirp::Clock::end_idle(traits_.limits.idle);
      continue;
    }
    library_.input(stack_, reinterpret_cast<const uint8_t*>(frame.data()),
                   static_cast<int>(frame.size()));
    flows_.settle();
  }
}

void UserNet::poll_once() {
  polled_.assign(1, {wakeup_.get(), POLLIN, 0});
  uint32_t timeout_ms = kPollTimeoutMs;
  const bool sockets = !clogged();
  if (sockets) {
    library_.pollfds_fill(
        stack_, &timeout_ms,
        [](int fd, int events, void* opaque) {
          auto& net = *static_cast<UserNet*>(opaque);
          // poll() ignores negative descriptors.
          net.polled_.push_back({net.flows_.may_poll(fd) ? fd : -1, to_poll(events), 0});
          return static_cast<int>(net.polled_.size() - 1);
        },
        this);
  }
  for (const auto& timer : timers_) {
    const int64_t left_ms = std::max<int64_t>(timer->expires_ms - slirp::Clock::now_ms(), 0);
    timeout_ms = static_cast<uint32_t>(std::min<int64_t>(left_ms, timeout_ms));
  }
  bool idle;
  {
    const std::lock_guard lock(mutex_);
    idle = from_guest_.frames.empty() && !news_;
  }
  const int count = poll(polled_.data(), polled_.size(), idle ? static_cast<int>(timeout_ms) : 0);
  if (polled_[0].revents != 0) {
    eventfd_t value;
    static_cast<void>(eventfd_read(wakeup_.get(), &value));
  }
  if (!sockets) return;
  library_.pollfds_poll(
      stack_, count < 0 ? 1 : 0,
      [](int index, void* opaque) {
        const auto& polled = static_cast<UserNet*>(opaque)->polled_;
        return from_poll(polled[static_cast<size_t>(index)].revents);
      },
      this);
}

void UserNet::fire_timers() {
  const int64_t now_ms = slirp::Clock::now_ms();
  for (size_t i = 0; i < timers_.size(); ++i) {
    Timer& timer = *timers_[i];
    if (timer.expires_ms > now_ms) continue;
    timer.expires_ms = INT64_MAX;
    timer.callback(timer.argument);
  }
}

bool UserNet::clogged() {
  const std::lock_guard lock(mutex_);
  return to_guest_.bytes >= kQueueBytes;
}

void UserNet::wake() { static_cast<void>(eventfd_write(wakeup_.get(), 1)); }

}  // namespace vmm::backend
