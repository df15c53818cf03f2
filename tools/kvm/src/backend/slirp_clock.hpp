// SPDX-License-Identifier: GPL-2.0-only
//
// The clock that UserNet gives to libslirp. The library closes the socket of a UDP flow or an echo
// request after four idle minutes (SO_EXPIRE in its socket.h) and has no call to close one earlier,
// but a clock that is moved on has the same effect. TCP timers of the library tick at most once in
// a call, however long ago the last tick was, so streams do not notice. There is one clock, as the
// library keeps the time in a global variable. Any thread; waits for nothing.
#pragma once

#include <chrono>
#include <cstdint>

namespace vmm::backend::slirp {

class Clock {
 public:
  static int64_t now_ns();
  static int64_t now_ms() { return now_ns() / 1'000'000; }

  // Ends flows that have been idle for this long. Does nothing when it was last called less than
  // that ago, as all remaining flows are younger.
  static void end_idle(std::chrono::milliseconds idle);
};

}  // namespace vmm::backend::slirp
