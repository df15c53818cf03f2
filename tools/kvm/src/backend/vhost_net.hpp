// SPDX-License-Identifier: GPL-2.0-only
//
// Lets the host's kernel (/dev/vhost-net) move frames between a network device's data queues and
// the files of a tap, with one vhost for each pair. Queues have the device's numbers: 2N receives
// for pair N, 2N + 1 transmits. virtio::Net owns one and calls it under its mutex; Tap keeps the
// files, and sets the interface's offloads and pairs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/vhost.hpp"

namespace vmm::backend {

class VhostNet {
 public:
  static constexpr const char* kPath = "/dev/vhost-net";

  // `taps` has one file per pair; they, `loop` and `memory` outlive it. Throws like Vhost.
  VhostNet(base::EventLoop& loop, const memory::GuestMemory& memory, std::span<const int> taps,
           const Vhost::Events& events, const std::string& path = kPath);
  ~VhostNet();
  VhostNet(const VhostNet&) = delete;
  VhostNet& operator=(const VhostNet&) = delete;

  bool serves(uint16_t queue) const { return queue / 2 < pairs_.size(); }
  uint64_t features() const;

  // Only while no queue is running. False when the host refuses; so does start().
  bool set_features(uint64_t negotiated);

  // From here on vhost serves the queue, beginning with the buffers that it already holds.
  bool start(uint16_t queue, const VhostRing& ring);
  // Once it has returned, vhost no longer accesses the queue's guest memory. Does nothing if the
  // queue is not running.
  void stop(uint16_t queue);
  void stop();

  bool running(uint16_t queue) const;
  void kick(uint16_t queue);
  int kick_fd(uint16_t queue) const;
  base::EventSource& used(uint16_t queue);

 private:
  struct Pair;

  bool attach(uint16_t queue, int tap);

  std::vector<std::unique_ptr<Pair>> pairs_;
};

}  // namespace vmm::backend
