// SPDX-License-Identifier: GPL-2.0-only
//
// Signal masks of the VMM's threads: asynchronous signals go to the thread that called into the VMM
// (Python's main thread), never to the VMM's own threads. Called at the start of each thread.
#pragma once

namespace vmm::base {

// Blocks all signals in this thread but `except` (0: none) and those that report a crash.
void block_signals(int except = 0);

// Returns the signal that takes a thread out of KVM_RUN, and installs its empty handler.
int kick_signal();

}  // namespace vmm::base
