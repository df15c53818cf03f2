// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/net/net.hpp"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <utility>

#include "virtio/device/iovec_cursor.hpp"
#include "virtio/device/vhost_ring.hpp"

namespace vmm::virtio {
namespace {

using backend::NetHeader;
using backend::NetOffloads;
using backend::NetTraits;
using backend::Sent;

constexpr uint16_t kDataQueueSize = 256;
constexpr uint16_t kControlQueueSize = 64;

constexpr uint64_t bit(int feature) { return 1ULL << feature; }
uint64_t bit_if(bool offered, int feature) { return offered ? bit(feature) : 0; }

uint16_t receive_queue(uint16_t pair) { return static_cast<uint16_t>(2 * pair); }
uint16_t transmit_queue(uint16_t pair) { return static_cast<uint16_t>(2 * pair + 1); }

std::vector<uint16_t> queue_sizes(const NetTraits& traits) {
  std::vector<uint16_t> sizes(2 * size_t{traits.max_queue_pairs}, kDataQueueSize);
  sizes.push_back(kControlQueueSize);
  return sizes;
}

NetOffloads offloads_of(uint64_t bits) {
  return {.checksum = (bits & bit(VIRTIO_NET_F_GUEST_CSUM)) != 0,
          .tso4 = (bits & bit(VIRTIO_NET_F_GUEST_TSO4)) != 0,
          .tso6 = (bits & bit(VIRTIO_NET_F_GUEST_TSO6)) != 0,
          .ecn = (bits & bit(VIRTIO_NET_F_GUEST_ECN)) != 0};
}

// Distributes `bytes` over the chains, filling each in turn, and records each one's length.
void scatter(std::span<const std::byte> bytes, std::vector<UsedChain>& chains) {
  for (UsedChain& used : chains) {
    const auto part = bytes.first(std::min<size_t>(bytes.size(), used.chain.writable_bytes()));
    copy_to(used.chain.writable(), 0, part);
    used.written_bytes = static_cast<uint32_t>(part.size());
    bytes = bytes.subspan(part.size());
  }
}

}  // namespace

Net::Net(std::unique_ptr<backend::NetBackend> backend, const MacAddress& mac,
         const std::optional<ByVhost>& by_vhost)
    : traits_(backend->traits()),
      queue_max_sizes_(queue_sizes(traits_)),
      own_mac_(mac),
      backend_(std::move(backend)) {
  settings_.mac = own_mac_;
  if (by_vhost) {
    vhost_ = make_vhost(*by_vhost);
    return;
  }
  backend_->start([this](uint16_t pair) {
    const std::lock_guard lock(mutex_);
    queues_.begin_turn();
    receive(pair);
    transmit(pair);
  });
}

Net::~Net() { backend_->stop(); }

uint32_t Net::type() const { return VIRTIO_ID_NET; }

uint64_t Net::features() const {
  const NetOffloads& send = traits_.send;
  const NetOffloads& get = traits_.receive;
  const bool segments = get.tso4 || get.tso6;
  const bool merges = vhost_ == nullptr || (vhost_->features() & bit(VIRTIO_NET_F_MRG_RXBUF)) != 0;
  // vhost does not guarantee an order.
  return bit_if(vhost_ == nullptr, VIRTIO_F_IN_ORDER) | bit(VIRTIO_F_RING_RESET) |
         bit(VIRTIO_NET_F_MAC) | bit(VIRTIO_NET_F_STATUS) | bit_if(merges, VIRTIO_NET_F_MRG_RXBUF) |
         bit(VIRTIO_NET_F_CTRL_VQ) | bit(VIRTIO_NET_F_CTRL_RX) | bit(VIRTIO_NET_F_CTRL_MAC_ADDR) |
         bit_if(send.checksum, VIRTIO_NET_F_CSUM) | bit_if(send.tso4, VIRTIO_NET_F_HOST_TSO4) |
         bit_if(send.tso6, VIRTIO_NET_F_HOST_TSO6) | bit_if(send.ecn, VIRTIO_NET_F_HOST_ECN) |
         bit_if(get.checksum, VIRTIO_NET_F_GUEST_CSUM) | bit_if(get.tso4, VIRTIO_NET_F_GUEST_TSO4) |
         bit_if(get.tso6, VIRTIO_NET_F_GUEST_TSO6) | bit_if(get.ecn, VIRTIO_NET_F_GUEST_ECN) |
         bit_if(segments, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
         bit_if(traits_.mtu != 0, VIRTIO_NET_F_MTU) |
         bit_if(traits_.max_queue_pairs > 1, VIRTIO_NET_F_MQ);
}

void Net::read_config(uint64_t offset, std::span<std::byte> data) const {
  const std::lock_guard lock(mutex_);
  virtio_net_config config{};
  std::ranges::copy(settings_.mac, config.mac);
  config.status = link_up_ ? VIRTIO_NET_S_LINK_UP : 0;
  config.max_virtqueue_pairs = traits_.max_queue_pairs;
  config.mtu = traits_.mtu;
  read_config_bytes(std::as_bytes(std::span(&config, 1)), offset, data);
}

uint32_t Net::config_generation() const {
  const std::lock_guard lock(mutex_);
  return config_generation_;
}

void Net::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  queues_.start(std::move(activation));
  queues_.begin_turn();
  settings_.receive_offloads = queues_.features() & net_receive_offloads();
  settle();
  serve_control();
  if (vhost_ != nullptr) {
    hand_over_all();
    return;
  }
  for (uint16_t pair = 0; pair < traits_.max_queue_pairs; ++pair) {
    transmit(pair);
    receive(pair);
  }
}

void Net::notify(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.begin_turn();
  serve(index);
}

int Net::doorbell(uint16_t index) const {
  return vhost_ != nullptr && vhost_->serves(index) ? vhost_->kick_fd(index) : kNoDoorbell;
}

base::EventSource* Net::used_source(uint16_t index) {
  return vhost_ != nullptr && vhost_->serves(index) ? &vhost_->used(index) : nullptr;
}

void Net::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  if (vhost_ != nullptr && vhost_->serves(index)) vhost_->stop(index);
  queues_.stop(index);
}

void Net::reset() {
  const std::lock_guard lock(mutex_);
  if (vhost_ != nullptr) vhost_->stop();
  queues_.stop();
  settings_ = NetSettings{};
  settings_.mac = own_mac_;
  settle();
}

void Net::start_queue(uint16_t index, Queue queue) {
  const std::lock_guard lock(mutex_);
  queues_.start(index, std::move(queue));
  queues_.begin_turn();
  if (vhost_ != nullptr) hand_over(index);
  serve(index);
}

void Net::set_link(bool up) {
  const std::lock_guard lock(mutex_);
  if (link_up_ == up) return;
  link_up_ = up;
  ++config_generation_;
  if (negotiated(VIRTIO_NET_F_STATUS)) queues_.config_changed();
}

// It comes after all pairs, or after the first if the driver did not accept multiqueue (5.1.2).
uint16_t Net::control_queue() const {
  return receive_queue(negotiated(VIRTIO_NET_F_MQ) ? traits_.max_queue_pairs : 1);
}

void Net::settle() {
  backend_->set_offloads(offloads_of(settings_.receive_offloads));
  backend_->set_queue_pairs(settings_.queue_pairs);
}

void Net::serve(uint16_t index) {
  if (negotiated(VIRTIO_NET_F_CTRL_VQ) && index == control_queue()) {
    serve_control();
    return;
  }
  if (vhost_ != nullptr) {
    if (index < control_queue()) vhost_->kick(index);
    return;
  }
  const auto pair = static_cast<uint16_t>(index / 2);
  if (pair >= traits_.max_queue_pairs) return;
  if (index == receive_queue(pair)) {
    receive(pair);
  } else {
    transmit(pair);
  }
}

void Net::transmit(uint16_t pair) {
  const uint16_t index = transmit_queue(pair);
  while (auto chain = queues_.pop(index)) {
    const auto header = object_from<NetHeader>(chain->readable(), 0);
    if (header && link_up_) {
      const auto frame =
          sub_range(chain->readable(), sizeof *header, chain->readable_bytes() - sizeof *header);
      if (backend_->send(pair, *header, frame) == Sent::kFull) {
        queues_.put_back(index, std::move(*chain));
        return;
      }
    }
    queues_.complete(index, std::move(*chain), 0);
  }
}

void Net::receive(uint16_t pair) {
  if (pair >= settings_.queue_pairs) return;
  while (queues_.ready(receive_queue(pair))) {
    const auto frame = backend_->peek(pair);
    if (frame.empty()) return;
    const bool done = link_up_ ? deliver(pair, frame) : queues_.spend(receive_queue(pair));
    if (!done) return;
    backend_->consume(pair);
  }
}

// False when the driver has to add buffers first, the turn is over, or the driver made an error.
bool Net::deliver(uint16_t pair, std::span<const std::byte> frame) {
  const uint16_t index = receive_queue(pair);
  std::vector<UsedChain> chains;
  if (!gather(index, frame.size(), chains)) return false;
  if (chains.empty()) return true;  // too large for one buffer, and only one may be used
  scatter(frame, chains);
  const auto count = static_cast<uint16_t>(chains.size());
  copy_to(chains.front().chain.writable(), offsetof(NetHeader, num_buffers),
          std::as_bytes(std::span(&count, 1)));
  queues_.complete(index, std::move(chains));
  return true;
}

// Collects buffers for `length` bytes. Leaves `chains` empty if only one may be used and it is too
// small. False, with the ring unchanged, when there are too few or the turn is over.
bool Net::gather(uint16_t index, size_t length, std::vector<UsedChain>& chains) {
  size_t room = 0;
  while (room < length) {
    auto chain = queues_.pop(index);
    if (!chain) {
      put_back(index, chains);
      return false;
    }
    if (chain->writable_bytes() < sizeof(NetHeader)) {
      queues_.fail(index, Fault::kMalformedRequest);
      return false;
    }
    room += chain->writable_bytes();
    chains.push_back({std::move(*chain), 0});
    if (room < length && !negotiated(VIRTIO_NET_F_MRG_RXBUF)) {
      put_back(index, chains);
      return true;
    }
  }
  return true;
}

// Puts the latest one back first, as the ring requires.
void Net::put_back(uint16_t index, std::vector<UsedChain>& chains) {
  while (!chains.empty()) {
    if (queues_.ready(index)) queues_.put_back(index, std::move(chains.back().chain));
    chains.pop_back();
  }
}

void Net::serve_control() {
  obey_commands();
  if (vhost_ != nullptr && queues_.faulty()) vhost_->stop();
}

void Net::obey_commands() {
  if (!negotiated(VIRTIO_NET_F_CTRL_VQ)) return;
  const uint16_t index = control_queue();
  const NetLimits limits{queues_.features(), traits_.max_queue_pairs};
  while (auto chain = queues_.pop(index)) {
    if (chain->writable_bytes() == 0) {
      queues_.fail(index, Fault::kMalformedRequest);
      return;
    }
    const NetSettings before = settings_;
    const uint8_t answer = serve_net_command(chain->readable(), limits, settings_);
    if (!(settings_ == before)) {
      settle();
      if (!(settings_.mac == before.mac)) ++config_generation_;
    }
    copy_to(chain->writable(), 0, std::as_bytes(std::span(&answer, 1)));
    queues_.complete(index, std::move(*chain), sizeof answer);
    if (vhost_ != nullptr) continue;
    // Frames may be waiting for the new pairs.
    for (uint16_t pair = before.queue_pairs; pair < settings_.queue_pairs; ++pair) receive(pair);
  }
}

std::unique_ptr<backend::VhostNet> Net::make_vhost(const ByVhost& by_vhost) {
  const auto used = [this](uint16_t index) {
    const std::lock_guard lock(mutex_);
    queues_.tell_used(index);
  };
  const auto broken = [this](uint16_t index) {
    const std::lock_guard lock(mutex_);
    if (vhost_->running(index)) fail(index);
  };
  return std::make_unique<backend::VhostNet>(by_vhost.loop, by_vhost.memory, by_vhost.taps,
                                             backend::Vhost::Events{used, broken});
}

void Net::hand_over_all() {
  if (!vhost_->set_features(queues_.features())) {
    fail(0);
    return;
  }
  for (uint16_t index = 0; index < control_queue(); ++index) hand_over(index);
}

void Net::hand_over(uint16_t index) {
  if (index >= control_queue() || !queues_.ready(index)) return;
  if (!vhost_->start(index, vhost_ring(queues_.state(index)))) fail(index);
}

void Net::fail(uint16_t index) {
  vhost_->stop();
  queues_.fail(index, Fault::kRefusedByHost);
}

}  // namespace vmm::virtio
