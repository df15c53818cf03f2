// SPDX-License-Identifier: GPL-2.0-only
//
// Reserves the last descriptors of the process for the VMM itself, so that it can still work and
// shut down when a guest, or a program of the host, has made it open all the others. The kernel
// always gives the lowest free number, so a high number shows that few are left. Code that opens
// descriptors for others (the flows of a user network, vsock streams) asks here. Any thread; never
// waits. Threads that ask at the same time may each take one too many, for which the reserve is
// large enough.
#pragma once

namespace vmm::base {

inline constexpr int kReservedDescriptors = 64;

// Whether `fd` is one of the last that this process may open. The limit may change at run time.
bool is_reserved_descriptor(int fd);

// Whether the next descriptor to be opened would not be reserved.
bool has_spare_descriptor();

}  // namespace vmm::base
