// SPDX-License-Identifier: GPL-2.0-only
//
// A tap device of the host: the guest's frames leave by a network interface, one file per queue
// pair. The kernel understands virtio's header (IFF_VNET_HDR), so checksums and segmentation that
// the guest left undone pass through unchanged. Frames wait in the interface's queue while the
// guest has no buffers. The event loop, which outlives this object, reports new frames.
#pragma once

#include <string>
#include <vector>

#include "backend/net_backend.hpp"
#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace vmm::backend {

class Tap final : public NetBackend {
 public:
  static constexpr uint16_t kMaxQueuePairs = 8;

  // Opens the interface `name`, creating it if permitted, and brings it up. It gets the address
  // `host_address` ("192.168.7.1/24"); empty: it keeps its own. Throws a base::ConfigError with a
  // hint when it can't be opened.
  Tap(base::EventLoop& loop, const std::string& name, uint16_t queue_pairs,
      const std::string& host_address);

  // Takes ownership of tap files that were opened with IFF_TAP and IFF_VNET_HDR, one per pair.
  Tap(base::EventLoop& loop, std::vector<base::UniqueFd> files);

  ~Tap() override;

  // The interface's name as the kernel reports it.
  const std::string& name() const { return name_; }

  // The files by pair, for VhostNet, which then moves the frames. This object still owns them.
  std::vector<int> files() const;

  NetTraits traits() const override;
  void start(Ready ready) override;
  void stop() override;
  void set_offloads(const NetOffloads& allowed) override;
  void set_queue_pairs(uint16_t count) override;
  Sent send(uint16_t pair, const NetHeader& header, std::span<const iovec> frame) override;
  std::span<const std::byte> peek(uint16_t pair) override;
  void consume(uint16_t pair) override;

 private:
  struct Queue {
    base::UniqueFd file;
    std::vector<std::byte> buffer;
    size_t held_bytes = 0;  // size of the frame in the buffer; 0: none
    bool attached = true;
  };

  void adopt(std::vector<base::UniqueFd> files);
  void attach(Queue& queue, bool wanted);

  base::EventLoop& loop_;
  std::string name_;
  bool multi_queue_ = false;
  bool started_ = false;
  std::vector<Queue> queues_;
};

}  // namespace vmm::backend
