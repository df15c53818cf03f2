// SPDX-License-Identifier: GPL-2.0-only
//
// Signal masks of the VMM's threads: asynchronous signals belong to the thread that called in
// (Python's main thread), never to ours. Called at the start of each thread.
#pragma once

namespace vmm::base {

// Blocks all signals in this thread but `except` (0: none) and those that report a crash.
void block_signals(int except = 0);

// The signal that takes a thread out of KVM_RUN. Its handler does nothing; this installs it.
int kick_signal();

}  // namespace vmm::base
