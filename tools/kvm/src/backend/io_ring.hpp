// SPDX-License-Identifier: GPL-2.0-only
//
// Input and output that the caller does not wait for, by the host's io_uring. Requests may be begun
// on any thread; how one ended is told on the event loop's, or on the thread that drains. Owned by
// the backend whose file it works on, which outlives its requests.
#pragma once

#include <liburing.h>
#include <sys/uio.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace vmm::backend {

class IoRing {
 public:
  // How the request ended: all of its bytes, or an error. Must not throw.
  using Done = std::function<void(std::error_code)>;

  // Nothing where the host has no io_uring, or does not let us have it.
  static std::unique_ptr<IoRing> create(base::EventLoop& loop);
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  // The buffers, and the array that lists them, stay until `done`. False, and `done` is as it was,
  // when the ring is full.
  bool read(int fd, uint64_t offset_bytes, std::span<const iovec> into, Done& done);
  bool write(int fd, uint64_t offset_bytes, std::span<const iovec> from, Done& done);
  bool sync_data(int fd, Done& done);

  // Waits until all that was begun has ended, and been told.
  void drain();

 private:
  struct Request;
  enum class Kind { kRead, kWrite, kSync };

  IoRing(base::EventLoop& loop, io_uring ring, base::UniqueFd event);
  bool begin(Kind kind, int fd, uint64_t offset_bytes, std::span<const iovec> buffers, Done& done);
  bool reap();

  base::EventLoop& loop_;
  base::UniqueFd event_;
  std::mutex mutex_;  // guards the ring
  std::condition_variable idle_;
  io_uring ring_;
  std::atomic<uint32_t> in_flight_ = 0;
};

}  // namespace vmm::backend
