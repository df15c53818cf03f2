// SPDX-License-Identifier: GPL-2.0-only
//
// The block device (virtio 1.2, 5.2): request queues in front of a BlockBackend. machine/ owns it;
// requests are begun in the order of the available ring, by notify() on the vCPU thread that
// notified, or gathered a moment later where a driver has many under way (Pace); those of different
// queues side by side, where the backend can. What the backend has at once is completed there and
// then, the rest as it tells of its end. What may take long and the backend can't begin (a flush, a
// discard) is carried out on a thread of the disk's, which holds no queue's lock meanwhile. Every
// request is completed: what is malformed, fails or is larger than the configuration space allows
// gets IOERR, what is unknown gets UNSUPP; only a request without a status byte, which can't be
// answered, is a fault.
#pragma once

#include <linux/virtio_blk.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "backend/block_backend.hpp"
#include "virtio/backlog.hpp"
#include "virtio/device.hpp"
#include "virtio/device/block_request.hpp"
#include "virtio/device/pace.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Block final : public Device {
 public:
  static constexpr uint16_t kMaxQueues = 16;

  // `queues`: 1 to kMaxQueues; one per vCPU is what drivers make best use of.
  explicit Block(std::unique_ptr<backend::BlockBackend> backend, uint16_t queues = 1);
  ~Block() override;

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
  // Requests that are out hold a chain: none is while queues change.
  template <class Change>
  void change_queues(Change change);
  enum class Occasion { kNotified, kBacklog, kChanged };
  void serve(uint16_t index, Occasion occasion);
  struct Served {
    size_t requests;
    std::optional<Fault> fault;
  };
  Served serve_queue(uint16_t index);
  // Nothing if the request is complete only later, on another thread.
  std::optional<UsedChain> begin(uint16_t index, Chain&& chain, WriteMode mode);
  // Whether a backend that takes one call at a time takes this thread's, before long.
  bool admitted(std::unique_lock<std::mutex>& backend_lock) const;
  void finish_later(uint16_t index, uint64_t starts, BlockRequest& request);

  // A request that the worker carries out.
  struct Chore {
    uint16_t index;
    uint64_t starts;
    std::shared_ptr<BlockRequest> request;
  };
  void add_chore(Chore chore);
  void do_chores();
  void drain();

  const std::unique_ptr<backend::BlockBackend> backend_;
  const std::vector<uint16_t> queue_max_sizes_;
  const virtio_blk_config config_;
  // Whoever starts or stops queues has all of it; who serves one shares it, and has that queue's
  // lane.
  std::shared_mutex mutex_;
  struct Lane {
    std::mutex mutex;
    Pace pace;
    bool gathers = false;  // the backlog's next call ends a gathering
  };
  std::vector<Lane> lanes_;  // one per queue
  QueueSet queues_;
  uint32_t changing_ = 0;  // how many wait to change the queues
  uint64_t starts_ = 0;    // tells a fault of these queues from one of their predecessors

  std::mutex backend_mutex_;          // of a backend that takes one call at a time
  std::atomic<uint32_t> resets_ = 0;  // under way: what they wait for ends as soon as it can
  std::mutex chores_mutex_;           // guards the chores; their number is read without it, too
  std::condition_variable no_chores_;
  std::deque<Chore> chores_;
  std::atomic<size_t> chores_left_ = 0;  // with the one that is being done
  Backlog worker_;
};

}  // namespace vmm::virtio
