// SPDX-License-Identifier: GPL-2.0-only
//
// Keeps the last descriptors of the process for the VMM itself, so that it can still work and end
// in order when a guest, or a program of the host, has made it open all the others. The kernel
// always gives the lowest number that is free: a high number shows that few are left. Code that
// opens descriptors for somebody else (the flows of a user network, vsock streams) asks here. Any
// thread; a call waits for nothing. Threads that ask at the same time may each take one too many,
// which the reserve is large enough for.
#pragma once

namespace vmm::base {

inline constexpr int kReservedDescriptors = 64;

// Whether `fd` is one of the last that this process may open. The limit may change meanwhile.
bool is_reserved_descriptor(int fd);

// Whether the next one to be opened would not be reserved.
bool has_spare_descriptor();

}  // namespace vmm::base
