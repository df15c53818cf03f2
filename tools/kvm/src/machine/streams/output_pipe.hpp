// SPDX-License-Identifier: GPL-2.0-only
//
// Output of character devices on its way to the host: gathered into lines, then sent through a
// socket. machine/ owns one per stream. write() and flush() are called on vCPU threads and on the
// event loop's, with devices' mutexes held, and never wait: what the socket does not take stays
// here, and the event loop sends it when the host has read.
//
// A stream that holds kFull bytes is full. Where every byte counts, it says so to the gate, where
// the vCPUs that write to it wait out of the guest. A stream of a user's terminal must not stop
// the machine: its device tells the guest that the transmitter is busy (ready()), and what the
// guest writes all the same is lost, as on a line without a terminal.
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
  // Not at the first byte of room: whoever waits is to have some for its next writes.
  static constexpr size_t kRoomAgain = kFull / 2;
  // What a terminal's stream takes beyond kFull: a driver does not look at the transmitter before
  // each byte.
  static constexpr size_t kOverrun = 4096;

  // `socket` is a non-blocking stream socket. The loop and the gate outlive the pipe; without a
  // gate it is a terminal's.
  OutputPipe(base::EventLoop& loop, base::UniqueFd socket, Gate* gate);
  ~OutputPipe() override;
  OutputPipe(const OutputPipe&) = delete;
  OutputPipe& operator=(const OutputPipe&) = delete;

  // Called on the event loop's thread, without any lock of the pipe, when it is ready() again. To
  // be set before the first write().
  void on_ready(std::function<void()> callback) { on_ready_ = std::move(callback); }

  void write(std::span<const std::byte> bytes) override;
  void flush() override;
  bool ready() const override { return gate_ != nullptr || !full_.load(); }

  // Whether it holds bytes that the host can still read.
  bool unsent() const;
  // Waits until the host has taken all, or can't any more; at most until `deadline`. For a thread
  // that holds no lock.
  void wait_sent(std::chrono::steady_clock::time_point deadline);

 private:
  // A line of a console, or a burst of a byte stream.
  static constexpr size_t kHeldBack = 1024;
  void on_writable();
  void send_pending();  // these two with mutex_ held
  void note_level();

  base::EventLoop& loop_;
  const base::UniqueFd socket_;
  Gate* const gate_;
  std::function<void()> on_ready_;

  mutable std::mutex mutex_;  // guards what follows, though full_ is read without
  std::condition_variable sent_;
  std::vector<std::byte> pending_;
  bool blocked_ = false;  // the socket is full, and the loop waits for it
  bool closed_ = false;   // nobody will ever read it
  std::atomic<bool> full_{false};
};

}  // namespace vmm::machine
