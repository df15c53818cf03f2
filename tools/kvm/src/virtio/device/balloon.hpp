// SPDX-License-Identifier: GPL-2.0-only
//
// The memory balloon (virtio 1.2, 5.5): takes pages from the guest and returns their memory to the
// host, gets the guest's memory statistics, and frees pages that the guest reports as free.
// machine/ owns it, sets the target and reads the state, on any thread and without waiting for a
// request; requests are served inline in notify(), on the vCPU thread. A page that the guest uses
// again is zero and is allocated on access, so deflating needs no work. Page numbers from a guest
// either lie in its own memory or are errors, so a guest can harm only itself.
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
  uint32_t actual_pages = 0;                // as the driver reports it
  uint64_t reported_bytes = 0;              // freed because the guest reported them as free
  uint64_t statistics_count = 0;            // how many times statistics arrived
  std::map<uint16_t, uint64_t> statistics;  // the latest ones, by VIRTIO_BALLOON_S_*
};

class Balloon final : public Device {
 public:
  // Pages served per request; a driver sends at most 256, and a larger request counts as several.
  static constexpr uint32_t kMaxPagesPerRequest = 1 << 16;
  static constexpr uint32_t kUsualPagesPerRequest = 256;
  static constexpr size_t kMaxStatistics = 64;

  // The number of balloon pages in `mib` MiB.
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

  // Any thread; these never wait for a request that is being served.
  void set_target(uint32_t pages);
  // Requests new statistics from the guest; state() has them some time later.
  void ask_for_statistics();
  BalloonState state() const;

 private:
  // The queues' roles depend on the features that the driver accepted: queue numbers have no gaps.
  enum class Role { kInflate, kDeflate, kStatistics, kReporting, kNone };
  Role role_of(uint16_t index) const;

  void serve(uint16_t index);
  void serve_pages(uint16_t index, bool inflate);
  void serve_statistics(uint16_t index);
  void return_statistics(uint16_t index);
  void take_statistics(const Chain& chain);
  void serve_reporting(uint16_t index);

  memory::GuestMemory& memory_;
  std::mutex mutex_;  // held while serving; guards the members up to state_mutex_
  QueueSet queues_;
  bool holds_statistics_ = false;  // the buffer at the queue's head has been read

  // Held briefly; may be taken while mutex_ is held.
  mutable std::mutex state_mutex_;  // guards the members below
  virtio_balloon_config config_{};
  uint32_t config_generation_ = 0;
  BalloonState state_;
  Interrupt* interrupt_ = nullptr;  // set while active, as the backlog is
  Backlog* backlog_ = nullptr;
  bool asked_for_statistics_ = false;
};

}  // namespace vmm::virtio
