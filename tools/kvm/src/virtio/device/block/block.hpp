// SPDX-License-Identifier: GPL-2.0-only
//
// The block device (virtio 1.2, 5.2): request queues in front of a BlockBackend. machine/ owns it;
// requests begin in the order of the available ring, in notify() on the vCPU thread that notified,
// or gathered a little later where a driver has many in flight (Pace). Queues are served in
// parallel if the backend supports it. Requests that the backend serves at once complete
// immediately, others when it reports their end. Requests that may take long and that the backend
// can't begin (a flush, a discard) run on the disk's own thread, which holds no queue's lock
// meanwhile. Every request is completed: with IOERR if it is malformed, fails or is larger than the
// configuration space allows, with UNSUPP if it is unknown; only a request without a status byte,
// which can't be answered, is a fault.
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
#include "virtio/device/block/pace.hpp"
#include "virtio/device/block/request.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Block final : public Device {
 public:
  static constexpr uint16_t kMaxQueues = 16;

  // `queues`: 1 to kMaxQueues; drivers make best use of one per vCPU.
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
  bool can_rewind() const override { return backend_->can_rewind(); }
  Hold hold() override;
  void checkpoint() override;
  void rewind() override;

 private:
  // Requests in flight hold a chain, so this waits for all of them before queues change.
  template <class Change>
  void change_queues(Change change);
  void lock_queues();
  void unlock_queues();
  enum class Occasion { kNotified, kBacklog, kChanged };
  void serve(uint16_t index, Occasion occasion);
  struct Served {
    size_t requests;
    std::optional<Fault> fault;
  };
  Served serve_queue(uint16_t index);
  // Returns nothing if the request completes later, on another thread.
  std::optional<UsedChain> begin(uint16_t index, Chain&& chain, WriteMode mode);
  // Waits a short time for a backend that takes one call at a time. False if it stays busy.
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
  // Locked exclusively to start or stop queues; shared, with the queue's lane, to serve one.
  std::shared_mutex mutex_;
  struct Lane {
    std::mutex mutex;
    Pace pace;
    bool gathers = false;  // the backlog's next call ends a gathering
  };
  std::vector<Lane> lanes_;  // one per queue
  QueueSet queues_;
  QueueSet kept_;          // at the checkpoint
  uint32_t changing_ = 0;  // the number of threads that wait to change queues
  uint64_t starts_ = 0;    // counts starts, to recognise a fault from before the last one

  std::mutex backend_mutex_;          // for a backend that takes one call at a time
  std::atomic<uint32_t> resets_ = 0;  // in progress; requests then end as soon as they can
  std::mutex chores_mutex_;           // guards the chores; chores_left_ is also read without it
  std::condition_variable no_chores_;
  std::deque<Chore> chores_;
  std::atomic<size_t> chores_left_ = 0;  // including the one in progress
  Backlog worker_;
};

}  // namespace vmm::virtio
