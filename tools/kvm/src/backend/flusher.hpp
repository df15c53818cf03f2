// SPDX-License-Identifier: GPL-2.0-only
//
// Flushes one image file, and enforces one rule for all backends: a failed flush is final. The
// kernel reports data that it could not write once, to one caller, and may have dropped it
// (fsync(2), EIO), so a success after that would promise data that is lost. For the same reason no
// two flushes of a file run at once: one of them would take the report, and the other would
// succeed. A caller that comes while one runs waits for the next, whose result goes to all that
// wait.
//
// Owned by the backend whose file it flushes; the file outlives it. Any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <system_error>
#include <vector>

#include "backend/io_ring.hpp"

namespace vmm::backend {

class Flusher {
 public:
  explicit Flusher(int fd) : fd_(fd) {}

  // Waits for the file, and for requests of begin(): so not for the thread that reports their
  // completion.
  std::error_code flush();

  // Like BlockBackend::begin_flush(), with a ring that is destroyed before this object. Never
  // waits: it returns false where flush() would have to wait, or has failed before.
  bool begin(IoRing& ring, IoRing::Done& done);

 private:
  using Callers = std::vector<IoRing::Done>;

  bool submit(IoRing& ring);
  void ended(IoRing& ring, std::error_code error);
  std::error_code sync();

  const int fd_;
  std::mutex mutex_;  // guards all below; held while flush() waits for the file
  std::condition_variable idle_;
  bool in_flight_ = false;  // the ring has a flush that covers the waiting callers
  Callers covered_;
  Callers waiting_;
  std::error_code failure_;
};

}  // namespace vmm::backend
