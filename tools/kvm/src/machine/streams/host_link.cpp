// SPDX-License-Identifier: GPL-2.0-only
#include "machine/streams/host_link.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include "base/error.hpp"

namespace vmm::machine {

HostLink::HostLink() {
  int ends[2];
  base::check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
              "socketpair");
  host_end.reset(ends[0]);
  device_end.reset(ends[1]);
}

base::UniqueFd HostLink::duplicate_device_end() const {
  return base::UniqueFd(
      base::check(fcntl(device_end.get(), F_DUPFD_CLOEXEC, 0), "fcntl(F_DUPFD_CLOEXEC)"));
}

}  // namespace vmm::machine
