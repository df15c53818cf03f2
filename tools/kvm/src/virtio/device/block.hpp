// SPDX-License-Identifier: GPL-2.0-only
//
// The block device (virtio 1.2, 5.2): one request queue in front of a BlockBackend. machine/ owns
// it; requests are served inline in notify(), on the vCPU thread that notified, in the order of the
// available ring. Every request is completed: what is malformed or fails gets IOERR, what is
// unknown gets UNSUPP; only a request without a status byte, which can't be answered, is a fault.
#pragma once

#include <linux/virtio_blk.h>

#include <array>
#include <memory>
#include <mutex>

#include "backend/block_backend.hpp"
#include "virtio/device.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Block final : public Device {
 public:
  explicit Block(std::unique_ptr<backend::BlockBackend> backend);

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

 private:
  void serve();

  const std::unique_ptr<backend::BlockBackend> backend_;
  const virtio_blk_config config_;
  std::mutex mutex_;
  QueueSet queues_;
};

}  // namespace vmm::virtio
