// SPDX-License-Identifier: GPL-2.0-only
//
// The 9P transport device (virtio 1.2, 5.10 reserves its number; the layout is the UAPI's
// <linux/virtio_9p.h>): one queue whose chains are a request and room for its answer, and a mount
// tag. machine/ owns it; requests are served inline in notify(), on the vCPU thread, one at a time.
// A file's data moves between the host's page cache and the guest's buffers without a copy of ours.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "ninep/server.hpp"
#include "virtio/device.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Ninep final : public Device {
 public:
  // `tag` is what the guest mounts by.
  Ninep(ninep::Share share, const std::string& tag);

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
  // The used length, or nothing when the chain has no room for any answer.
  std::optional<uint32_t> serve_request(const Chain& chain);

  const std::vector<std::byte> config_;
  std::mutex mutex_;  // guards all that follows
  ninep::Server server_;
  QueueSet queues_;
};

}  // namespace vmm::virtio
