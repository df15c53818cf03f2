// SPDX-License-Identifier: GPL-2.0-only
//
// Reads and writes of sockets that never wait, whatever the descriptor's flags are.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <span>

namespace vmm::base {

// Returns the bytes sent, or -1 and errno. Unlike writev(), it raises no SIGPIPE when the other end
// has gone.
ssize_t send_some(int fd, std::span<const iovec> pieces);

// Returns the bytes received, 0 at the end of the stream, or -1 and errno.
ssize_t receive_some(int fd, std::span<const iovec> pieces);

// Reads and drops what has come.
void drop_received(int fd);

// Whether errno is that of a call that would have had to wait.
bool would_block();

}  // namespace vmm::base
