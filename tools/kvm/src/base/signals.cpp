// SPDX-License-Identifier: GPL-2.0-only
#include "base/signals.hpp"

#include <pthread.h>

#include <csignal>
#include <initializer_list>

namespace vmm::base {

void block_signals(int except) {
  sigset_t blocked;
  sigfillset(&blocked);
  // If blocked, these would kill the process without a handler's report (sanitizers have one).
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
    sigdelset(&blocked, crash);
  }
  if (except != 0) sigdelset(&blocked, except);
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
}

int kick_signal() {
  static const int installed = [] {
    const int number = SIGRTMIN + 4;
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);  // without SA_RESTART: KVM_RUN returns
    return number;
  }();
  return installed;
}

}  // namespace vmm::base
