// SPDX-License-Identifier: GPL-2.0-only
//
// Output of character devices on its way to the host: gathered into lines, then sent through a
// socket. A host that does not read blocks the writing vCPU, which is the wanted back-pressure,
// until the machine stops. machine/ owns one per stream; write() and flush() are called on vCPU
// threads and the event loop's.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "devices/byte_sink.hpp"

namespace vmm::machine {

class OutputPipe : public devices::ByteSink {
 public:
  // `socket` is a non-blocking stream socket, `stopping` an eventfd that becomes readable when the
  // machine stops; both outlive the pipe.
  OutputPipe(int socket, int stopping) : socket_(socket), stopping_(stopping) {}

  void write(std::span<const std::byte> bytes) override;
  void flush() override;

 private:
  // A line of a console, or a burst of a byte stream.
  static constexpr size_t kHeldBack = 1024;
  // What a stopped machine still waits for its reader.
  static constexpr std::chrono::milliseconds kGrace{1000};

  void send_all();
  bool wait_writable();

  const int socket_;
  const int stopping_;
  std::mutex mutex_;
  std::vector<std::byte> pending_;
  bool closed_ = false;
  std::optional<std::chrono::steady_clock::time_point> give_up_at_;
};

}  // namespace vmm::machine
