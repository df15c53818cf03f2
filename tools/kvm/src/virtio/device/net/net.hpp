// SPDX-License-Identifier: GPL-2.0-only
//
// The network device (virtio 1.2, 5.1) in front of a NetBackend: a pair of queues for each pair of
// the backend, and the control queue. machine/ owns it. Frames from the guest are sent inline in
// notify(), on the vCPU thread; frames for it are copied into its buffers on the thread that the
// backend calls on, or inline when the driver adds buffers. A frame that is invalid, or does not
// fit a buffer, is lost, as on a wire; only a buffer without room for the header, or a command
// without room for its answer, is a fault. With vhost the host's kernel serves the data queues from
// DRIVER_OK on, and the device only the control queue.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "backend/net_backend.hpp"
#include "backend/vhost_net.hpp"
#include "backend/virtio_net_abi.hpp"
#include "virtio/device.hpp"
#include "virtio/device/net/control.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Net final : public Device {
 public:
  // The backend's files that vhost uses to move frames, one per pair.
  struct ByVhost {
    base::EventLoop& loop;
    const memory::GuestMemory& memory;
    std::vector<int> taps;
  };

  // With vhost, throws like VhostNet.
  Net(std::unique_ptr<backend::NetBackend> backend, const MacAddress& mac,
      const std::optional<ByVhost>& by_vhost = std::nullopt);
  ~Net() override;

  uint32_t type() const override;
  uint64_t features() const override;
  std::span<const uint16_t> queue_max_sizes() const override { return queue_max_sizes_; }
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t, std::span<const std::byte>) override {}
  uint32_t config_generation() const override;
  void activate(Activation activation) override;
  void notify(uint16_t index) override;
  int doorbell(uint16_t index) const override;
  base::EventSource* used_source(uint16_t index) override;
  void stop_queue(uint16_t index) override;
  void reset() override;
  void start_queue(uint16_t index, Queue queue) override;

  // Plugs the cable in or pulls it: while it is out, frames are lost in both directions. With vhost
  // this only notifies the driver. Any thread.
  void set_link(bool up);

 private:
  bool negotiated(int feature) const { return (queues_.features() & 1ULL << feature) != 0; }
  uint16_t control_queue() const;
  void settle();
  void serve(uint16_t index);
  void transmit(uint16_t pair);
  void receive(uint16_t pair);
  bool deliver(uint16_t pair, std::span<const std::byte> frame);
  bool gather(uint16_t index, size_t length, std::vector<UsedChain>& chains);
  void put_back(uint16_t index, std::vector<UsedChain>& chains);
  void serve_control();

  void obey_commands();

  // Used only with vhost.
  std::unique_ptr<backend::VhostNet> make_vhost(const ByVhost& by_vhost);
  void hand_over_all();
  void hand_over(uint16_t index);
  void fail(uint16_t index);

  const backend::NetTraits traits_;
  const std::vector<uint16_t> queue_max_sizes_;
  mutable std::mutex mutex_;  // guards the members up to the backend
  QueueSet queues_;
  const MacAddress own_mac_;
  NetSettings settings_;
  bool link_up_ = true;
  uint32_t config_generation_ = 0;
  const std::unique_ptr<backend::NetBackend> backend_;
  std::unique_ptr<backend::VhostNet> vhost_;  // null: no vhost. Last, as its callbacks use the rest
};

}  // namespace vmm::virtio
