// SPDX-License-Identifier: GPL-2.0-only
//
// The socket device (virtio 1.2, 5.10): streams between the guest and Unix sockets of the host,
// without the host's kernel. machine/ owns it and passes it an event loop, which outlives it.
// Packets from the guest are served inline in notify(), on the vCPU thread; bytes from the host on
// the event loop, or inline when the driver adds buffers. Each stream has its own credit, so an
// unread one does not block the others. A protocol error resets only its own stream; only a receive
// buffer without room for a header is a fault of the queue.
#pragma once

#include <linux/virtio_vsock.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backend/vsock_listener.hpp"
#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "virtio/device.hpp"
#include "virtio/device/queue_set.hpp"
#include "virtio/device/vsock/connection.hpp"

namespace vmm::virtio {

class Vsock final : public Device {
 public:
  static constexpr uint64_t kHostCid = 2;
  static constexpr uint64_t kFirstGuestCid = 3;
  static constexpr uint64_t kLastGuestCid = 0xfffffffe;
  static constexpr size_t kMaxConnections = 1024;
  // Host ports of streams that were opened by programs of the host.
  static constexpr uint32_t kFirstHostPort = 1U << 30;

  // Throws like VsockListener.
  Vsock(base::EventLoop& loop, uint64_t guest_cid, const std::string& path);
  ~Vsock() override;

  uint32_t type() const override;
  uint64_t features() const override;
  std::span<const uint16_t> queue_max_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t, std::span<const std::byte>) override {}
  uint32_t config_generation() const override { return 0; }
  void activate(Activation activation) override;
  void notify(uint16_t index) override;
  void stop_queue(uint16_t index) override;
  void reset() override;
  void start_queue(uint16_t index, Queue queue) override;

  size_t connection_count() const;

 private:
  using Id = uint64_t;

  void on_events();
  void hear_host(Id id, uint32_t events);
  void accept_some();
  void serve();
  void serve_transmit();
  void serve_receive();

  void hear(const virtio_vsock_hdr& header, const Chain& chain);
  void hear_request(const VsockPorts& ports, const virtio_vsock_hdr& header);
  void hear_on(Id id, const virtio_vsock_hdr& header, const Chain& chain);
  void refuse(const VsockPorts& ports);

  bool speak(Id id);
  bool send(const VsockWord& word);
  virtio_vsock_hdr header_for(const VsockWord& word, uint32_t length) const;
  std::optional<Chain> pop_buffer();

  std::optional<Id> add(base::UniqueFd socket, VsockConnection::State state);
  void greet(Id id);
  void line_up(Id id);
  void drop(Id id);
  uint32_t free_host_port(uint32_t guest_port);

  base::EventLoop& loop_;
  const uint64_t guest_cid_;
  base::UniqueFd epoll_;
  mutable std::mutex mutex_;  // guards the members below
  backend::VsockListener listener_;
  QueueSet queues_;
  std::map<Id, VsockConnection> connections_;
  std::map<VsockPorts, Id> by_ports_;
  std::deque<Id> speakers_;          // connections with packets to send, served round-robin
  std::deque<VsockPorts> refusals_;  // streams to reset that do not exist, or no longer
  Id next_id_ = 1;
  uint32_t next_host_port_ = kFirstHostPort;
};

}  // namespace vmm::virtio
