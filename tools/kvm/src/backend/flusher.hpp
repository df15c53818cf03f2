// SPDX-License-Identifier: GPL-2.0-only
//
// The flushes of one image file, and the rule that all backends have from here: a flush that failed
// is final. The kernel reports data that it could not write once, to one caller, and may have
// dropped it (fsync(2), EIO), so a success after that would promise what is lost. For the same
// reason no two flushes of a file run side by side: one of them would take the report, and the
// other would succeed. A caller that comes while one runs waits for the next, which answers all
// that wait.
//
// Owned by the backend whose file it is, which outlives it; any thread.
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

  // Waits for the file, and for what begin() has begun: so it is not for the thread that has to
  // tell the end of that.
  std::error_code flush();

  // As BlockBackend::begin_flush(), by the ring, which ends before this does. Waits for nobody: it
  // returns false where flush() would have to wait, or has failed before.
  bool begin(IoRing& ring, IoRing::Done& done);

 private:
  using Callers = std::vector<IoRing::Done>;

  bool submit(IoRing& ring);
  void ended(IoRing& ring, std::error_code error);
  std::error_code sync();

  const int fd_;
  std::mutex mutex_;  // guards all below, and is held while this thread waits for the file
  std::condition_variable idle_;
  bool in_flight_ = false;  // the ring has a flush for the callers that are covered
  Callers covered_;
  Callers waiting_;
  std::error_code failure_;
};

}  // namespace vmm::backend
