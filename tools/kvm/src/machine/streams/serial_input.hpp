// SPDX-License-Identifier: GPL-2.0-only
//
// Feeds a serial port from a socket, never faster than the guest reads. machine/ owns it, after the
// event loop and the port; it runs on the loop's thread, and on a vCPU's thread that has made room
// in the port.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/event_loop.hpp"
#include "devices/serial.hpp"

namespace vmm::machine {

class SerialInput {
 public:
  SerialInput(base::EventLoop& loop, int socket, devices::Serial& port);
  ~SerialInput();
  SerialInput(const SerialInput&) = delete;
  SerialInput& operator=(const SerialInput&) = delete;

 private:
  void pump(bool readable);

  base::EventLoop& loop_;
  const int socket_;
  devices::Serial& port_;
  std::mutex mutex_;
  bool readable_ = false;  // kept because the socket is polled edge-triggered
};

}  // namespace vmm::machine
