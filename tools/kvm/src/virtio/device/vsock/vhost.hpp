// SPDX-License-Identifier: GPL-2.0-only
//
// The socket device (virtio 1.2, 5.10) as the host's kernel serves it, by /dev/vhost-vsock: the
// guest's streams end in AF_VSOCK sockets of the host. machine/ owns it and passes it guest memory
// and an event loop, which outlive it. This class never sees packets; it does the device's set-up,
// its doorbells on vCPU threads, and its interrupts on the loop's.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "backend/vhost.hpp"
#include "virtio/device.hpp"

namespace vmm::virtio {

class VhostVsock final : public Device {
 public:
  static constexpr const char* kPath = "/dev/vhost-vsock";

  // Throws base::ConfigError without the host's device, or when another machine has the CID.
  VhostVsock(base::EventLoop& loop, const memory::GuestMemory& memory, uint64_t guest_cid,
             const std::string& path = kPath);
  ~VhostVsock() override;

  uint32_t type() const override;
  uint64_t features() const override;
  std::span<const uint16_t> queue_max_sizes() const override;
  void read_config(uint64_t offset, std::span<std::byte> data) const override;
  void write_config(uint64_t, std::span<const std::byte>) override {}
  uint32_t config_generation() const override { return 0; }
  void activate(Activation activation) override;
  void notify(uint16_t index) override;
  int doorbell(uint16_t index) const override;
  base::EventSource* used_source(uint16_t index) override;
  void stop_queue(uint16_t index) override;
  void reset() override;

 private:
  void hear_used(uint16_t index);
  void hear_broken(uint16_t index);
  bool start(const Activation& activation);
  void stop();
  bool set_running(bool running);
  void fail(uint16_t index);

  const uint64_t guest_cid_;
  std::mutex mutex_;  // guards the members below, except vhost's doorbells
  Interrupt* interrupt_ = nullptr;
  bool running_ = false;
  backend::Vhost vhost_;  // last: its callbacks use the rest
};

}  // namespace vmm::virtio
