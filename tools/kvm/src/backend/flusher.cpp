// SPDX-License-Identifier: GPL-2.0-only
#include "backend/flusher.hpp"

#include <utility>

#include "backend/file_io.hpp"

namespace vmm::backend {

std::error_code Flusher::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return !in_flight_; });
  return sync();
}

bool Flusher::begin(IoRing& ring, IoRing::Done& done) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || failure_) return false;
  waiting_.push_back(done);
  if (in_flight_ || submit(ring)) return true;
  waiting_.clear();
  return false;
}

// Submits one flush for all waiting callers. The caller holds the mutex.
bool Flusher::submit(IoRing& ring) {
  IoRing::Done done = [this, &ring](std::error_code error) { ended(ring, error); };
  in_flight_ = ring.sync_data(fd_, done);
  if (in_flight_) covered_ = std::exchange(waiting_, {});
  return in_flight_;
}

// Called on the thread where the ring completes it, which holds no lock that a caller's `done` may
// take.
void Flusher::ended(IoRing& ring, std::error_code error) {
  Callers covered;
  Callers late;
  std::error_code late_error;
  {
    const std::lock_guard lock(mutex_);
    in_flight_ = false;
    covered = std::exchange(covered_, {});
    // The kernel cancels requests of a thread that has ended; no data was lost by that.
    const bool given_up = error == std::errc::operation_canceled || error == std::errc::interrupted;
    if (given_up) error = sync();
    if (error) failure_ = error;
    if (!waiting_.empty() && (failure_ || !submit(ring))) {
      late_error = sync();
      late = std::exchange(waiting_, {});
    }
  }
  idle_.notify_all();
  for (const IoRing::Done& done : covered) done(error);
  for (const IoRing::Done& done : late) done(late_error);
}

// The caller holds the mutex, and the ring has no flush.
std::error_code Flusher::sync() {
  if (!failure_) failure_ = sync_data(fd_);
  return failure_;
}

}  // namespace vmm::backend
