// SPDX-License-Identifier: GPL-2.0-only
//
// Passes output of character devices to the host: gathers it into lines and sends them through a
// socket. machine/ owns one per stream. write() and flush() are called on vCPU threads and on the
// event loop's, with devices' mutexes held, and never wait: bytes that the socket does not take are
// queued here, and the event loop sends them when the host has read.
//
// A stream that holds kFull bytes is full. If no byte may be lost, it reports that to the gate,
// where the vCPUs that write to it wait outside the guest. The stream of a user's terminal must not
// stop the machine: its device shows a busy transmitter to the guest (ready()), and bytes that the
// guest writes anyway are lost, as on a line without a terminal.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "devices/byte_sink.hpp"
#include "machine/run/gate.hpp"

namespace vmm::machine {

class OutputPipe final : public devices::ByteSink {
 public:
  static constexpr size_t kFull = 64 * 1024;
  // Waiting vCPUs resume at this level, not at the first free byte, so that they have room for
  // their next writes.
  static constexpr size_t kRoomAgain = kFull / 2;
  // Bytes that a terminal's stream accepts beyond kFull, as drivers do not check the transmitter
  // before each byte.
  static constexpr size_t kOverrun = 4096;

  // `socket` is a non-blocking stream socket. The loop and the gate outlive the pipe; a terminal's
  // stream has no gate.
  OutputPipe(base::EventLoop& loop, base::UniqueFd socket, Gate* gate);
  ~OutputPipe() override;
  OutputPipe(const OutputPipe&) = delete;
  OutputPipe& operator=(const OutputPipe&) = delete;

  // Sets a callback for when the pipe is ready() again; call it before the first write(). The
  // callback runs on the event loop's thread, without any lock of the pipe.
  void on_ready(std::function<void()> callback) { on_ready_ = std::move(callback); }

  void write(std::span<const std::byte> bytes) override;
  void flush() override;
  bool ready() const override { return gate_ != nullptr || !full_.load(); }

  // Whether it holds bytes that the host can still read.
  bool unsent() const;
  // Waits until the host has read all, or can't any more; at most until `deadline`. The caller must
  // hold no lock.
  void wait_sent(std::chrono::steady_clock::time_point deadline);

 private:
  // Enough for a line of a console, or a burst of a byte stream.
  static constexpr size_t kHeldBack = 1024;
  void on_writable();
  void send_pending();  // call these two with mutex_ held
  void note_level();

  base::EventLoop& loop_;
  const base::UniqueFd socket_;
  Gate* const gate_;
  std::function<void()> on_ready_;

  mutable std::mutex mutex_;  // guards the members below; full_ is also read without it
  std::condition_variable sent_;
  std::vector<std::byte> pending_;
  bool blocked_ = false;  // the socket is full; the loop waits for room
  bool closed_ = false;   // the host has closed its end
  std::atomic<bool> full_{false};
};

}  // namespace vmm::machine
