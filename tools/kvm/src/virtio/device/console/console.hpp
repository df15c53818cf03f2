// SPDX-License-Identifier: GPL-2.0-only
//
// The multiport console device (virtio 1.2, 5.3): port 0 is the guest's console (hvc0), port 1 the
// agent's byte stream. machine/ owns it and passes it its ends of two socket pairs, non-blocking.
// Guest to host is served inline in notify(), on the vCPU thread, because hvc spins until its
// buffer is used; host to guest runs on the event loop, or inline when the driver adds buffers. No
// byte is dropped while it can still be read: if the socket is full the chain stays in the ring,
// and bytes for the guest stay in the socket until the guest has opened the port and added buffers.
#pragma once

#include <linux/virtio_console.h>

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "virtio/device.hpp"
#include "virtio/device/console/port.hpp"
#include "virtio/device/queue_set.hpp"

namespace vmm::virtio {

class Console final : public Device {
 public:
  struct Ports {
    base::UniqueFd console;
    base::UniqueFd agent;
  };

  static constexpr uint32_t kConsolePort = 0;
  static constexpr uint32_t kAgentPort = 1;
  static constexpr uint32_t kPortCount = 2;
  static constexpr const char* kAgentPortName = "org.toolskvm.agent";

  Console(base::EventLoop& loop, Ports ports);
  ~Console() override;

  uint32_t type() const override;
  uint64_t features() const override;
  std::span<const uint16_t> queue_max_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t, std::span<const std::byte>) override {}
  uint32_t config_generation() const override;
  void activate(Activation activation) override;
  void notify(uint16_t index) override;
  void stop_queue(uint16_t index) override;
  void reset() override;
  bool can_rewind() const override { return true; }
  Hold hold() override {
    mutex_.lock();
    return {this, [](Device* self) { static_cast<Console*>(self)->mutex_.unlock(); }};
  }
  // The size of the terminal stays what it is: it is the host's. Bytes for the guest that are on
  // their way at a rewind are lost.
  void checkpoint() override;
  void rewind() override;

  // Whether guest output waits for a full socket. Any thread.
  bool output_unsent() const;

  // Passes the size of the host's terminal to the guest (for hvc0). Any thread.
  void resize(uint16_t columns, uint16_t rows);

 private:
  bool multiport() const;
  void on_socket(uint32_t port, uint32_t events);
  void serve(uint16_t index);
  void pump_port(uint32_t port);
  void serve_control();
  void handle_control(const virtio_console_control& message);
  void announce(uint32_t port);
  void send_control(uint32_t port, uint16_t event, uint16_t value, std::string_view tail = {});
  void send_size();
  void flush_control();

  // What the driver has brought about.
  struct State {
    QueueSet queues;
    std::deque<std::vector<std::byte>> control_out;  // messages waiting for control buffers
    bool console_announced = false;                  // the guest was told that port 0 is a console
  };

  base::EventLoop& loop_;
  mutable std::mutex mutex_;  // guards the members below
  State state_;
  State kept_;  // at the checkpoint
  std::array<ConsolePort, kPortCount> ports_;
  uint16_t columns_ = 0;
  uint16_t rows_ = 0;
  uint32_t config_generation_ = 0;
};

}  // namespace vmm::virtio
