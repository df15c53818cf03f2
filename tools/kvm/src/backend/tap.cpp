// SPDX-License-Identifier: GPL-2.0-only
#include "backend/tap.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <climits>
#include <utility>

#include "backend/tap_interface.hpp"
#include "base/error.hpp"

namespace vmm::backend {
namespace {

void set_non_blocking(int file) {
  const int flags = base::check(fcntl(file, F_GETFL), "fcntl(F_GETFL)");
  base::check(fcntl(file, F_SETFL, flags | O_NONBLOCK), "fcntl(F_SETFL)");
}

}  // namespace

Tap::Tap(base::EventLoop& loop, const std::string& name, uint16_t queue_pairs,
         const std::string& host_address)
    : loop_(loop) {
  if (queue_pairs < 1 || queue_pairs > kMaxQueuePairs) {
    throw base::ConfigError("tap " + name + " with " + std::to_string(queue_pairs) +
                            " queues: use 1 to " + std::to_string(kMaxQueuePairs));
  }
  adopt(open_tap(name, queue_pairs));
  bring_up(name_);
  if (!host_address.empty()) set_address(name_, host_address);
}

Tap::Tap(base::EventLoop& loop, std::vector<base::UniqueFd> files) : loop_(loop) {
  adopt(std::move(files));
}

Tap::~Tap() { stop(); }

void Tap::adopt(std::vector<base::UniqueFd> files) {
  assert(!files.empty() && files.size() <= kMaxQueuePairs);
  for (base::UniqueFd& file : files) {
    const TapIdentity identity = identify_tap(file.get());
    name_ = identity.name;
    multi_queue_ = identity.multi_queue;
    set_non_blocking(file.get());
    int header_bytes = sizeof(NetHeader);
    base::check(ioctl(file.get(), TUNSETVNETHDRSZ, &header_bytes), "TUNSETVNETHDRSZ");
    Queue queue;
    queue.file = std::move(file);
    queue.buffer.resize(sizeof(NetHeader) + kMaxFrameBytes);
    queues_.push_back(std::move(queue));
  }
  set_offloads({});
  set_queue_pairs(1);
}

std::vector<int> Tap::files() const {
  std::vector<int> files;
  for (const Queue& queue : queues_) files.push_back(queue.file.get());
  return files;
}

NetTraits Tap::traits() const {
  NetTraits traits;
  traits.max_queue_pairs = static_cast<uint16_t>(queues_.size());
  traits.send = {.checksum = true, .tso4 = true, .tso6 = true, .ecn = true};
  traits.receive = traits.send;
  return traits;
}

void Tap::start(Ready ready) {
  assert(!started_);
  started_ = true;
  for (uint16_t pair = 0; pair < queues_.size(); ++pair) {
    loop_.add(queues_[pair].file.get(), EPOLLIN | EPOLLET,
              [ready, pair](uint32_t) { ready(pair); });
  }
}

void Tap::stop() {
  if (!std::exchange(started_, false)) return;
  for (const Queue& queue : queues_) loop_.remove(queue.file.get());
}

void Tap::set_offloads(const NetOffloads& allowed) {
  unsigned long flags = 0;
  if (allowed.checksum) {
    flags = TUN_F_CSUM | (allowed.tso4 ? TUN_F_TSO4 : 0) | (allowed.tso6 ? TUN_F_TSO6 : 0);
    if (allowed.ecn && (allowed.tso4 || allowed.tso6)) flags |= TUN_F_TSO_ECN;
  }
  // This concerns the interface, so any attached file will do, and the first always is attached. It
  // fails only for a deleted interface, which then carries nothing.
  static_cast<void>(ioctl(queues_.front().file.get(), TUNSETOFFLOAD, flags));
}

void Tap::set_queue_pairs(uint16_t count) {
  if (!multi_queue_) return;
  for (size_t pair = 0; pair < queues_.size(); ++pair) attach(queues_[pair], pair < count);
}

void Tap::attach(Queue& queue, bool wanted) {
  if (queue.attached == wanted) return;
  ifreq request{};
  request.ifr_flags = static_cast<short>(wanted ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE);
  if (ioctl(queue.file.get(), TUNSETQUEUE, &request) == 0) queue.attached = wanted;
  queue.held_bytes = 0;
}

Sent Tap::send(uint16_t pair, const NetHeader& header, std::span<const iovec> frame) {
  NetHeader copy = header;
  std::vector<iovec> pieces;
  pieces.reserve(frame.size() + 1);
  pieces.push_back({&copy, sizeof copy});
  pieces.insert(pieces.end(), frame.begin(), frame.end());
  if (pieces.size() > IOV_MAX) return Sent::kTaken;
  ssize_t done;
  do {
    done = writev(queues_[pair].file.get(), pieces.data(), static_cast<int>(pieces.size()));
  } while (done < 0 && errno == EINTR);
  // A frame that the kernel refuses (an invalid header, an interface that is down) is lost.
  return Sent::kTaken;
}

std::span<const std::byte> Tap::peek(uint16_t pair) {
  Queue& queue = queues_[pair];
  while (queue.held_bytes == 0) {
    const ssize_t got = ::read(queue.file.get(), queue.buffer.data(), queue.buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < static_cast<ssize_t>(sizeof(NetHeader))) return {};
    queue.held_bytes = static_cast<size_t>(got);
  }
  return std::span(queue.buffer).first(queue.held_bytes);
}

void Tap::consume(uint16_t pair) { queues_[pair].held_bytes = 0; }

}  // namespace vmm::backend
