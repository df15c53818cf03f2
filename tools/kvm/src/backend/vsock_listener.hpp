// SPDX-License-Identifier: GPL-2.0-only
//
// The host's side of a guest's vsock, as Unix sockets: a program connects to PATH and says
// "CONNECT port\n" to reach a port of the guest's; what the guest connects to at port N of the host
// is PATH_N, where a program listens. virtio::Vsock owns one and calls it under its mutex; only
// opening throws.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace vmm::backend {

class VsockListener {
 public:
  // Listens at `path`. A socket there that nobody listens on is left from a VMM that was killed and
  // is replaced. Throws base::ConfigError when something else is there, or it can't be made.
  explicit VsockListener(std::string path);
  ~VsockListener();
  VsockListener(const VsockListener&) = delete;
  VsockListener& operator=(const VsockListener&) = delete;

  // Readable when accept() has something.
  int fd() const { return socket_.get(); }

  // The next connection, non-blocking; none when nobody waits.
  base::UniqueFd accept();

  // A connection to who listens for the guest at `port`; none when nobody does.
  base::UniqueFd connect(uint32_t port) const;

 private:
  std::string path_;
  base::UniqueFd socket_;
};

}  // namespace vmm::backend
