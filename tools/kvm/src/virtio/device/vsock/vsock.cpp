// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/vsock/vsock.hpp"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <sys/epoll.h>

#include <array>
#include <cassert>
#include <utility>

#include "base/descriptor_reserve.hpp"
#include "base/error.hpp"
#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

constexpr uint16_t kReceiveQueue = 0;
constexpr uint16_t kTransmitQueue = 1;
// The last is the event queue, for migration to another host.
constexpr std::array<uint16_t, 3> kQueueMaxSizes = {128, 128, 16};

// The limit of refusals that wait for buffers; then the guest's packets wait instead.
constexpr size_t kMaxRefusals = 64;

// Connections accepted from host programs per call of the event loop.
constexpr int kMaxAccepted = 16;

constexpr uint64_t kListenerId = 0;
constexpr uint32_t kListenerEvents = EPOLLIN | EPOLLET;
constexpr uint32_t kSocketEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

int watch(const base::UniqueFd& epoll, int fd, uint32_t events, uint64_t id,
          int how = EPOLL_CTL_ADD) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  return epoll_ctl(epoll.get(), how, fd, &event);
}

}  // namespace

Vsock::Vsock(base::EventLoop& loop, uint64_t guest_cid, const std::string& path)
    : loop_(loop),
      guest_cid_(guest_cid),
      epoll_(base::check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      listener_(path) {
  base::check(watch(epoll_, listener_.fd(), kListenerEvents, kListenerId), "epoll_ctl(ADD)");
  // One epoll descriptor holds all sockets: they are closed under the mutex that the loop's
  // callback takes, which EventLoop::remove() would not allow.
  loop_.add(epoll_.get(), EPOLLIN, [this](uint32_t) { on_events(); });
}

Vsock::~Vsock() { loop_.remove(epoll_.get()); }

uint32_t Vsock::type() const { return VIRTIO_ID_VSOCK; }

// No feature of the device itself: streams need none (5.10.3).
uint64_t Vsock::features() const { return 1ULL << VIRTIO_F_IN_ORDER | 1ULL << VIRTIO_F_RING_RESET; }

std::span<const uint16_t> Vsock::queue_max_sizes() const { return kQueueMaxSizes; }

void Vsock::read_config(uint64_t offset, std::span<std::byte> data) const {
  const virtio_vsock_config config{guest_cid_};
  read_config_bytes(std::as_bytes(std::span(&config, 1)), offset, data);
}

void Vsock::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  queues_.start(std::move(activation));
  serve();
}

void Vsock::notify(uint16_t) {
  const std::lock_guard lock(mutex_);
  serve();
}

void Vsock::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.stop(index);
}

void Vsock::reset() {
  const std::lock_guard lock(mutex_);
  queues_.stop();
  connections_.clear();
  by_ports_.clear();
  speakers_.clear();
  refusals_.clear();
}

void Vsock::start_queue(uint16_t index, Queue queue) {
  const std::lock_guard lock(mutex_);
  queues_.start(index, std::move(queue));
  serve();
}

size_t Vsock::connection_count() const {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

// The host's programs

void Vsock::on_events() {
  const std::lock_guard lock(mutex_);
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const Id id = event.data.u64;
    if (id == kListenerId) {
      accept_some();
      continue;
    }
    hear_host(id, event.events);
  }
  serve();
}

void Vsock::hear_host(Id id, uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  VsockConnection& connection = found->second;
  connection.on_events(events);
  if (connection.state() == VsockConnection::State::kGreeting) greet(id);
  if (!connections_.contains(id)) return;  // its greeting was wrong
  // The hang-up may come in one event with (part of) the greeting, and is reported only once.
  const bool early = connection.state() != VsockConnection::State::kOpen;
  const bool gone = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (connection.finished() || (early && gone)) {
    if (connection.guest_knows()) refuse(connection.ports());
    drop(id);
  } else {
    line_up(id);
  }
}

void Vsock::accept_some() {
  for (int i = 0; i < kMaxAccepted; ++i) {
    auto socket = listener_.accept();
    if (!socket) return;
    // A connection above the limit is closed at once.
    const auto id = add(std::move(socket), VsockConnection::State::kGreeting);
    if (id) greet(*id);
  }
  // There may be more: re-arm the edge, so that the loop calls again.
  static_cast<void>(watch(epoll_, listener_.fd(), kListenerEvents, kListenerId, EPOLL_CTL_MOD));
}

void Vsock::greet(Id id) {
  VsockConnection& connection = connections_.at(id);
  switch (connection.read_greeting()) {
    case VsockConnection::Greeting::kIncomplete:
      return;
    case VsockConnection::Greeting::kWrong:
      drop(id);
      return;
    case VsockConnection::Greeting::kComplete:
      break;
  }
  const uint32_t guest_port = connection.ports().guest;
  const VsockPorts ports{free_host_port(guest_port), guest_port};
  connection.request(ports);
  by_ports_[ports] = id;
  line_up(id);
}

uint32_t Vsock::free_host_port(uint32_t guest_port) {
  // There are fewer connections than ports, so this ends.
  do {
    next_host_port_ = next_host_port_ == UINT32_MAX ? kFirstHostPort : next_host_port_ + 1;
  } while (by_ports_.contains({next_host_port_, guest_port}));
  return next_host_port_;
}

// Connections

// Returns nothing when there are too many, or when the VMM needs the descriptor itself.
std::optional<Vsock::Id> Vsock::add(base::UniqueFd socket, VsockConnection::State state) {
  if (connections_.size() >= kMaxConnections) return std::nullopt;
  if (base::is_reserved_descriptor(socket.get())) return std::nullopt;
  const Id id = next_id_++;
  if (watch(epoll_, socket.get(), kSocketEvents, id) < 0) return std::nullopt;
  connections_.try_emplace(id, std::move(socket), state);
  return id;
}

void Vsock::drop(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto named = by_ports_.find(found->second.ports());
  if (named != by_ports_.end() && named->second == id) by_ports_.erase(named);
  // While the driver adds no buffers, connections wait in speakers_, and host programs may come and
  // go.
  if (found->second.queued) std::erase(speakers_, id);
  connections_.erase(found);  // closing its socket removes it from the epoll set
}

// While refusals wait, few more packets of the guest are served and no new connection is announced
// to it, so at most each known connection can add one.
void Vsock::refuse(const VsockPorts& ports) {
  assert(refusals_.size() < kMaxRefusals + kMaxConnections);
  refusals_.push_back(ports);
}

void Vsock::line_up(Id id) {
  VsockConnection& connection = connections_.at(id);
  if (!connection.has_word() && !connection.can_read()) return;
  if (!std::exchange(connection.queued, true)) speakers_.push_back(id);
}

// From the guest

void Vsock::serve() {
  queues_.begin_turn();
  do {
    serve_transmit();
    serve_receive();
    // Serve packets that had to wait for refusals.
  } while (refusals_.size() < kMaxRefusals && queues_.has_available(kTransmitQueue) &&
           queues_.spend(kTransmitQueue));
}

void Vsock::serve_transmit() {
  while (refusals_.size() < kMaxRefusals) {
    auto chain = queues_.pop(kTransmitQueue);
    if (!chain) return;
    if (const auto header = object_from<virtio_vsock_hdr>(chain->readable(), 0)) {
      hear(*header, *chain);
    }
    queues_.complete(kTransmitQueue, std::move(*chain), 0);
  }
}

void Vsock::hear(const virtio_vsock_hdr& header, const Chain& chain) {
  if (header.src_cid != guest_cid_) return;  // a wrong source address
  const VsockPorts ports{header.dst_port, header.src_port};
  const auto known = by_ports_.find(ports);
  if (header.op == VIRTIO_VSOCK_OP_RST) {
    if (header.dst_cid == kHostCid && known != by_ports_.end()) drop(known->second);
    return;
  }
  if (header.dst_cid != kHostCid || header.type != VIRTIO_VSOCK_TYPE_STREAM) {
    refuse(ports);
  } else if (header.op == VIRTIO_VSOCK_OP_REQUEST) {
    hear_request(ports, header);
  } else if (known == by_ports_.end()) {
    refuse(ports);
  } else {
    hear_on(known->second, header, chain);
  }
}

void Vsock::hear_request(const VsockPorts& ports, const virtio_vsock_hdr& header) {
  if (const auto known = by_ports_.find(ports); known != by_ports_.end()) {
    drop(known->second);
    refuse(ports);
    return;
  }
  base::UniqueFd socket = listener_.connect(ports.host);
  std::optional<Id> id;
  if (socket) id = add(std::move(socket), VsockConnection::State::kOpen);
  if (!id) {
    refuse(ports);
    return;
  }
  VsockConnection& connection = connections_.at(*id);
  connection.respond(ports);
  connection.hear_credit(header.buf_alloc, header.fwd_cnt);
  by_ports_[ports] = *id;
  line_up(*id);
}

void Vsock::hear_on(Id id, const virtio_vsock_hdr& header, const Chain& chain) {
  VsockConnection& connection = connections_.at(id);
  connection.hear_credit(header.buf_alloc, header.fwd_cnt);
  const bool is_open = connection.state() == VsockConnection::State::kOpen;
  bool right = true;
  switch (header.op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
      right = !is_open;
      if (right) connection.open();
      break;
    case VIRTIO_VSOCK_OP_RW:
      right = is_open && header.len <= chain.readable_bytes() - sizeof header &&
              connection.take(sub_range(chain.readable(), sizeof header, header.len), header.len);
      break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      connection.hear_shutdown((header.flags & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0,
                               (header.flags & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0);
      break;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
      break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
      connection.tell_credit();
      break;
    default:
      right = false;
  }
  if (!right || connection.finished()) {
    refuse(connection.ports());
    drop(id);
    return;
  }
  line_up(id);
}

// To the guest

void Vsock::serve_receive() {
  while (!refusals_.empty()) {
    if (!send({refusals_.front(), VIRTIO_VSOCK_OP_RST, 0, 0, 0})) return;
    refusals_.pop_front();
  }
  while (!speakers_.empty()) {
    const Id id = speakers_.front();
    const auto found = connections_.find(id);
    if (found == connections_.end()) {
      speakers_.pop_front();
      continue;
    }
    if (!speak(id)) return;  // it stays first until there are buffers
    speakers_.pop_front();
    found->second.queued = false;
    line_up(id);
  }
}

// Sends one packet; false when the driver has no buffer for it.
bool Vsock::speak(Id id) {
  VsockConnection& connection = connections_.at(id);
  auto chain = pop_buffer();
  if (!chain) return false;
  const auto room = sub_range(chain->writable(), sizeof(virtio_vsock_hdr),
                              chain->writable_bytes() - sizeof(virtio_vsock_hdr));
  std::optional<VsockWord> word;
  size_t length = 0;
  // Packets without data come first: requests, responses and credit never wait for data.
  if (connection.has_word()) {
    word = connection.next_word();
  } else if (connection.can_read() && room.empty()) {
    queues_.fail(kReceiveQueue, Fault::kMalformedRequest);
    return false;
  } else if (connection.can_read()) {
    length = connection.read(room);
    word = length > 0 ? connection.word(VIRTIO_VSOCK_OP_RW) : connection.next_word();
  }
  if (!word) {
    queues_.put_back(kReceiveQueue, std::move(*chain));
    return true;
  }
  const virtio_vsock_hdr header = header_for(*word, static_cast<uint32_t>(length));
  copy_to(chain->writable(), 0, std::as_bytes(std::span(&header, 1)));
  queues_.complete(kReceiveQueue, std::move(*chain), static_cast<uint32_t>(sizeof header + length));
  return true;
}

bool Vsock::send(const VsockWord& word) {
  auto chain = pop_buffer();
  if (!chain) return false;
  const virtio_vsock_hdr header = header_for(word, 0);
  copy_to(chain->writable(), 0, std::as_bytes(std::span(&header, 1)));
  queues_.complete(kReceiveQueue, std::move(*chain), sizeof header);
  return true;
}

std::optional<Chain> Vsock::pop_buffer() {
  auto chain = queues_.pop(kReceiveQueue);
  if (!chain) return std::nullopt;
  if (chain->writable_bytes() < sizeof(virtio_vsock_hdr)) {
    queues_.fail(kReceiveQueue, Fault::kMalformedRequest);
    return std::nullopt;
  }
  return chain;
}

virtio_vsock_hdr Vsock::header_for(const VsockWord& word, uint32_t length) const {
  virtio_vsock_hdr header{};
  header.src_cid = kHostCid;
  header.dst_cid = guest_cid_;
  header.src_port = word.ports.host;
  header.dst_port = word.ports.guest;
  header.len = length;
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = word.op;
  header.flags = word.flags;
  header.buf_alloc = word.buffer_bytes;
  header.fwd_cnt = word.forwarded;
  return header;
}

}  // namespace vmm::virtio
