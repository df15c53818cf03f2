// SPDX-License-Identifier: GPL-2.0-only
//
// The full barrier between a device's writes to a ring and its following reads of the driver's
// fields (virtio 1.2, 2.7.7 and 2.8.14). Internal to the two rings.
#pragma once

#include <atomic>

namespace vmm::virtio {

inline void full_fence() {
#ifdef __SANITIZE_THREAD__
  // The compiler refuses fences there, as ThreadSanitizer can't follow them.
  static thread_local std::atomic<int> word;
  word.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace vmm::virtio
