// SPDX-License-Identifier: GPL-2.0-only
//
// The host's side of a guest's vsock, as Unix sockets: a program connects to PATH and says "CONNECT
// port\n" to reach a port of the guest; a connection of the guest to port N of the host goes to
// PATH_N, where a program listens. virtio::Vsock owns one and calls it under its mutex; only
// opening throws.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace vmm::backend {

class VsockListener {
 public:
  // Listens at `path`. A socket there without a listener was left by a killed VMM and is replaced.
  // Throws base::ConfigError when something else is there, or it can't be created.
  explicit VsockListener(std::string path);
  ~VsockListener();
  VsockListener(const VsockListener&) = delete;
  VsockListener& operator=(const VsockListener&) = delete;

  // Becomes readable when accept() has a connection.
  int fd() const { return socket_.get(); }

  // The next connection, non-blocking; none when there is none waiting.
  base::UniqueFd accept();

  // A connection to the program that listens at `port` for the guest; none if no program does.
  base::UniqueFd connect(uint32_t port) const;

 private:
  std::string path_;
  base::UniqueFd socket_;
};

}  // namespace vmm::backend
