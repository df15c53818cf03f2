// SPDX-License-Identifier: GPL-2.0-only
//
// The host's kernel between the data queues of a network device and the files of a tap
// (/dev/vhost-net), one vhost for each pair. Queues have the device's numbers: 2N receives for pair
// N, 2N + 1 transmits. virtio::Net owns one and calls it under its mutex; Tap keeps the files, and
// the interface's offloads and pairs.
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

  // One file per pair; they, `loop` and `memory` outlive it. Throws what Vhost does.
  VhostNet(base::EventLoop& loop, const memory::GuestMemory& memory, std::span<const int> taps,
           const Vhost::Events& events, const std::string& path = kPath);
  ~VhostNet();
  VhostNet(const VhostNet&) = delete;
  VhostNet& operator=(const VhostNet&) = delete;

  bool serves(uint16_t queue) const { return queue / 2 < pairs_.size(); }
  uint64_t features() const;

  // While none is running. False when the host refuses, as of start().
  bool set_features(uint64_t negotiated);

  // From here on frames go through the queue, from what it holds already on.
  bool start(uint16_t queue, const VhostRing& ring);
  // Once it has returned, guest memory of the queue is left alone. Nothing if it is not running.
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
