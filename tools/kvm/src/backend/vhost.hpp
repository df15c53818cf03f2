// SPDX-License-Identifier: GPL-2.0-only
//
// A device of the host's kernel that serves virtqueues itself (<linux/vhost.h>): it reads and
// writes the rings and buffers in guest memory, within the table it is given, and the VMM only
// passes doorbells and interrupts on. A virtio device owns one, calls start(), stop() and
// set_features() under its mutex and kick() on any thread. vhost supports split rings only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "base/event_source.hpp"
#include "base/unique_fd.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::backend {

// A ring whose place in guest memory has been checked.
struct VhostRing {
  uint16_t size;
  memory::GuestAddress descriptors;
  memory::GuestAddress available;
  memory::GuestAddress used;
};

class Vhost {
 public:
  // Called on the loop's thread from the constructor on until the destructor has returned, also for
  // events from before a stop; hold no lock that they take when destroying.
  struct Events {
    std::function<void(uint16_t ring)> used;    // the driver wants an interrupt for used buffers
    std::function<void(uint16_t ring)> broken;  // the driver broke the ring
  };

  // All arguments outlive it. Throws a base::ConfigError naming `path` when there is no such
  // device.
  Vhost(base::EventLoop& loop, const memory::GuestMemory& memory, const std::string& path,
        uint16_t rings, Events events);
  ~Vhost();
  Vhost(const Vhost&) = delete;
  Vhost& operator=(const Vhost&) = delete;

  // For ioctls specific to one vhost device.
  int fd() const { return file_.get(); }

  uint64_t features() const { return features_; }
  // Sets those of `negotiated` that concern vhost. Only while stopped, like set_ring(). False when
  // the host refuses.
  bool set_features(uint64_t negotiated);
  bool set_ring(uint16_t ring, const VhostRing& place);

  // Announces new buffers; remembered while the device is stopped.
  void kick(uint16_t ring);
  // Writing to this eventfd kicks too.
  int kick_fd(uint16_t ring) const { return kicks_[ring].get(); }

  // The source of Events::used, which may be passed on to another reader.
  base::EventSource& used(uint16_t ring) { return *lines_[ring * kLinesPerRing]; }

 private:
  static constexpr size_t kLinesPerRing = 2;  // used, and broken

  void share_memory();

  base::EventLoop& loop_;
  const memory::GuestMemory& memory_;
  const base::UniqueFd file_;
  uint64_t features_ = 0;
  std::vector<base::UniqueFd> kicks_;
  std::vector<std::unique_ptr<base::EventSource>>
      lines_;  // last: destroyed first, as their callbacks use the rest
};

}  // namespace vmm::backend
