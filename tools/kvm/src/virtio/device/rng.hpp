// SPDX-License-Identifier: GPL-2.0-only
//
// The entropy device (virtio 1.2, 5.4): fills the driver's buffers from the host's getrandom(). It
// has no configuration, and no state except its queue. machine/ owns it; requests are served inline
// in notify(), on the vCPU thread.
#pragma once

#include <mutex>

#include "virtio/device.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Rng final : public Device {
 public:
  // The most that one request gets, so that no chain keeps a vCPU thread busy for long.
  static constexpr uint32_t kMaxRequestBytes = 64 * 1024;

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
  bool can_rewind() const override { return true; }
  Hold hold() override {
    mutex_.lock();
    return {this, [](Device* self) { static_cast<Rng*>(self)->mutex_.unlock(); }};
  }
  void checkpoint() override { kept_ = queues_; }
  void rewind() override { queues_ = kept_; }

 private:
  void serve();

  std::mutex mutex_;
  QueueSet queues_;
  QueueSet kept_;  // at the checkpoint
};

}  // namespace vmm::virtio
