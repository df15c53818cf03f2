// SPDX-License-Identifier: GPL-2.0-only
//
// The 9P transport device (virtio 1.2, 5.10 reserves its number; the layout is the UAPI's
// <linux/virtio_9p.h>): one queue whose chains are a request and room for its answer, and a mount
// tag. machine/ owns it; requests are served inline in notify(), on the vCPU thread, one at a time.
// A file's data moves between the host's page cache and the guest's buffers without a copy in the
// VMM. A request that waits for the host's disk (fsync) runs on the backlog's thread, without the
// mutex; later requests wait for it, as they are completed in order.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ninep/server.hpp"
#include "virtio/device.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Ninep final : public Device {
 public:
  using CarryOut = std::function<ninep::Errno(const ninep::Sync&)>;

  // `tag` is the guest's mount tag. Tests replace `carry_out` to simulate a failing disk.
  Ninep(ninep::Share share, const std::string& tag, CarryOut carry_out = &ninep::Sync::carry_out);

  uint32_t type() const override;
  uint64_t features() const override;
  std::span<const uint16_t> queue_max_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t, std::span<const std::byte>) override {}
  uint32_t config_generation() const override { return 0; }
  void activate(Activation activation) override;
  void notify(uint16_t index) override;
  void catch_up(uint16_t index) override;
  void stop_queue(uint16_t index) override;
  void reset() override;
  void start_queue(uint16_t index, Queue queue) override;

 private:
  void serve();
  // Returns nothing when the chain has no room for an answer.
  std::optional<ninep::Answer> serve_request(const Chain& chain);
  void complete(Chain&& chain, const ninep::Answer& answer);

  // A request whose answer waits for the host's disk.
  struct Waiting {
    Chain chain;
    ninep::Answer answer;
    uint64_t number;
  };

  const std::vector<std::byte> config_;
  const CarryOut carry_out_;
  std::mutex mutex_;  // guards the members below
  ninep::Server server_;
  QueueSet queues_;
  std::optional<Waiting> waiting_;
  uint64_t syncs_ = 0;
};

}  // namespace vmm::virtio
