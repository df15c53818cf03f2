// SPDX-License-Identifier: GPL-2.0-only
//
// The memory balloon (virtio 1.2, 5.5): takes pages from the guest and gives their memory back to
// the host, gets the guest's memory statistics, and frees what the guest reports as free. machine/
// owns it, sets the target and reads the state, on any thread and without waiting for a request;
// requests are served inline in notify(), on the vCPU thread. A page that the guest uses again is
// zero and comes back by itself, so deflating is only an answer. What a guest names is its own
// memory or an error: nobody else can be harmed by it.
#pragma once

#include <linux/virtio_balloon.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "memory/guest_memory.hpp"
#include "virtio/device.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

struct BalloonState {
  uint32_t target_pages = 0;                // of 4 KiB
  uint32_t actual_pages = 0;                // as the driver says
  uint64_t reported_bytes = 0;              // freed because the guest reported them as free
  uint64_t statistics_count = 0;            // how many times it told statistics
  std::map<uint16_t, uint64_t> statistics;  // the latest ones, by VIRTIO_BALLOON_S_*
};

class Balloon final : public Device {
 public:
  // Of one request; a driver gathers at most 256, and a request with more counts as several.
  static constexpr uint32_t kMaxPagesPerRequest = 1 << 16;
  static constexpr uint32_t kUsualPagesPerRequest = 256;
  static constexpr size_t kMaxStatistics = 64;

  // How many of the balloon's pages make up so much memory.
  static constexpr uint32_t pages(uint64_t mib) {
    return static_cast<uint32_t>(mib << (20 - VIRTIO_BALLOON_PFN_SHIFT));
  }

  Balloon(memory::GuestMemory& memory, uint32_t target_pages);

  uint32_t type() const override;
  uint64_t features() const override;
  std::span<const uint16_t> queue_max_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t offset, std::span<const std::byte> data) override;
  uint32_t config_generation() const override;
  void activate(Activation activation) override;
  void notify(uint16_t index) override;
  void stop_queue(uint16_t index) override;
  void reset() override;
  void start_queue(uint16_t index, Queue queue) override;

  // Any thread; none of them waits for a request that is being served.
  void set_target(uint32_t pages);
  // Asks the guest for new statistics; state() has them some time later.
  void ask_for_statistics();
  BalloonState state() const;

 private:
  // Which queue is which follows from what the driver accepted: there are no gaps.
  enum class Role { kInflate, kDeflate, kStatistics, kReporting, kNone };
  Role role_of(uint16_t index) const;

  void serve(uint16_t index);
  void serve_pages(uint16_t index, bool inflate);
  void serve_statistics(uint16_t index);
  void return_statistics(uint16_t index);
  void take_statistics(const Chain& chain);
  void serve_reporting(uint16_t index);

  memory::GuestMemory& memory_;
  std::mutex mutex_;  // of whoever serves; guards what follows, up to the next one
  QueueSet queues_;
  bool holds_statistics_ = false;  // the buffer at the head of the queue has been read

  // Held for a moment at a time, also by those who have the other one.
  mutable std::mutex state_mutex_;  // guards all that follows
  virtio_balloon_config config_{};
  uint32_t config_generation_ = 0;
  BalloonState state_;
  Interrupt* interrupt_ = nullptr;  // the active device's, and its backlog
  Backlog* backlog_ = nullptr;
  bool asked_for_statistics_ = false;
};

}  // namespace vmm::virtio
