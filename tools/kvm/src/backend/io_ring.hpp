// SPDX-License-Identifier: GPL-2.0-only
//
// Asynchronous input and output by the host's io_uring. Requests may begin on any thread; they
// complete on the event loop's thread, or on the one that calls drain(). Owned by the backend whose
// file it works on; the file outlives the requests.
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
  // Gets the result: success for all of its bytes, or an error. Must not throw.
  using Done = std::function<void(std::error_code)>;

  // Returns nothing where the host has no io_uring, or does not permit it.
  static std::unique_ptr<IoRing> create(base::EventLoop& loop);
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  // The buffers, and the array that lists them, must stay until `done`. False, with `done`
  // untouched, when the ring is full.
  bool read(int fd, uint64_t offset_bytes, std::span<const iovec> into, Done& done);
  bool write(int fd, uint64_t offset_bytes, std::span<const iovec> from, Done& done);
  bool sync_data(int fd, Done& done);

  // Waits until all requests have completed and `done` was called for each.
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
