// SPDX-License-Identifier: GPL-2.0-only
#include "backend/vhost_net.hpp"

#include <sys/ioctl.h>

#include <array>
#include <cassert>

#include "backend/vhost_abi.hpp"

namespace vmm::backend {
namespace {

constexpr uint16_t kRings = 2;
constexpr int kNoTap = -1;

uint16_t ring_of(uint16_t queue) { return queue % kRings; }

// Translates a ring's number in pair `pair` to the device's queue number.
Vhost::Events of_pair(const Vhost::Events& events, uint16_t pair) {
  const auto renumbered = [pair](const std::function<void(uint16_t)>& tell) {
    return [tell, pair](uint16_t ring) { tell(static_cast<uint16_t>(kRings * pair + ring)); };
  };
  return {renumbered(events.used), renumbered(events.broken)};
}

}  // namespace

struct VhostNet::Pair {
  Vhost vhost;
  const int tap;
  std::array<bool, kRings> running{};
};

VhostNet::VhostNet(base::EventLoop& loop, const memory::GuestMemory& memory,
                   std::span<const int> taps, const Vhost::Events& events,
                   const std::string& path) {
  for (const int tap : taps) {
    const auto pair = static_cast<uint16_t>(pairs_.size());
    pairs_.emplace_back(new Pair{{loop, memory, path, kRings, of_pair(events, pair)}, tap});
  }
}

VhostNet::~VhostNet() { stop(); }

uint64_t VhostNet::features() const { return pairs_.front()->vhost.features(); }

bool VhostNet::set_features(uint64_t negotiated) {
  for (const auto& pair : pairs_) {
    // The tap has virtio's header in front of each frame, so vhost must not add one itself.
    if (!pair->vhost.set_features(negotiated & ~(1ULL << VHOST_NET_F_VIRTIO_NET_HDR))) return false;
  }
  return true;
}

bool VhostNet::attach(uint16_t queue, int tap) {
  vhost_vring_file file{ring_of(queue), tap};
  return ioctl(pairs_[queue / kRings]->vhost.fd(), VHOST_NET_SET_BACKEND, &file) == 0;
}

bool VhostNet::start(uint16_t queue, const VhostRing& ring) {
  Pair& pair = *pairs_[queue / kRings];
  assert(!running(queue));
  if (!pair.vhost.set_ring(ring_of(queue), ring) || !attach(queue, pair.tap)) return false;
  pair.running[ring_of(queue)] = true;
  kick(queue);  // the driver may have filled it before vhost was notified
  return true;
}

void VhostNet::stop(uint16_t queue) {
  if (!running(queue)) return;
  const bool stopped = attach(queue, kNoTap);  // waits for requests in progress
  assert(stopped);
  static_cast<void>(stopped);
  pairs_[queue / kRings]->running[ring_of(queue)] = false;
}

void VhostNet::stop() {
  for (uint16_t queue = 0; serves(queue); ++queue) stop(queue);
}

bool VhostNet::running(uint16_t queue) const {
  return pairs_[queue / kRings]->running[ring_of(queue)];
}

void VhostNet::kick(uint16_t queue) { pairs_[queue / kRings]->vhost.kick(ring_of(queue)); }

int VhostNet::kick_fd(uint16_t queue) const {
  return pairs_[queue / kRings]->vhost.kick_fd(ring_of(queue));
}

base::EventSource& VhostNet::used(uint16_t queue) {
  return pairs_[queue / kRings]->vhost.used(ring_of(queue));
}

}  // namespace vmm::backend
